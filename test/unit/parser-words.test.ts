// A parser's message quotes what it could not read, cut and changed so that the redactor does not know it.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../../src');
const sources = globSync('**/*.ts', { cwd: root }).map((file) => ({
  file,
  text: readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, ''),
}));

/** What reads texts of others: packages, and what the engine has. */
const reads =
  /from '(?:yaml|saxes|smol-toml|liquidjs|ajv|yauzl|tar-stream|node-vault|ssh2|@aws-sdk\/[^']*)'|JSON\.parse\(|new RegExp\(|new URL\(|decodeURIComponent\(|TextDecoder\(|new Script\(/;

/** Files that read such texts and look at an error's message, and why nothing of the text passes on. */
const allowed: Readonly<Record<string, string>> = {
  'clients/archive/tar.ts': 'only told apart',
  'clients/archive/zip.ts': 'only told apart',
  'clients/file-source.ts': 'of reading a file, by the system',
  'clients/http/agents.ts': 'of connecting to a proxy, by the system',
  'clients/git/source.ts': 'of our own reader of packets; what the server says, redacted',
  'clients/ssh/program.ts':
    'a few messages of ssh2 about keys, which are told by our own words; what the server says, redacted',
  'clients/grpc/call.ts': 'of Node’s HTTP/2, only the name of its code; what the server says, redacted',
  'clients/json-schema.ts': 'the messages of the keywords of our own schemas hold no data',
  'clients/kubernetes/access.ts': 'of reading a file, by the system',
  'clients/kubernetes/kubeconfig.ts': 'of our own reader of YAML',
  'clients/liquid.ts': 'only told apart; our own filters and guards are told as they are',
  'clients/nats/attempt.ts': 'what the server says, redacted',
  'clients/aws/asking.ts': 'only told apart',
  'clients/aws/login.ts': 'only told apart',
  'clients/aws/container.ts': 'of parseJson, which is ours',
  'clients/toml.ts': 'only told apart',
  'clients/vault/api.ts': 'of parseJson, which is ours',
  'clients/xml.ts': 'only told apart',
  'commands/fetch-config/fetch-sum.ts': 'of our own readers of lists of sums and sources',
  'commands/fetch-config/git/submodules.ts': 'of our own readers of addresses, redacted',
  'commands/fetch-config/pick.ts': 'of parseJson, which is ours',
  'commands/fetch-config/spec.ts': 'of our own readers of YAML, sources and options',
  'commands/render/consul-template/documents.ts': 'of our own formats',
  'commands/render/consul-template/functions.ts': 'of parseJson, which is ours',
  'commands/render/data/parse.ts': 'of parseJson, which is ours',
  'commands/render/data/request.ts': 'of our own readers of names and sources',
  'clients/http/proxy.ts': 'of our own reader of the variables',
  'commands/run/condition.ts': 'of our own reader of patterns',
  'commands/run/plan.ts': 'of our own readers of YAML and options',
  'commands/run/source.ts': 'of reading a file, by the system',
  'core/pattern.ts': 'only the reason behind the pattern, which V8 has as constants',
  'config/fields.ts': 'of parseJson, which is ours',
  'config/json.ts': 'only the position',
  'config/source.ts': 'of our own checks of paths',
};

test('no message of a parser is passed on', () => {
  const looking = sources
    .filter(({ text }) => reads.test(text))
    .filter(({ text }) =>
      /(?:error|Error\)|mistake|cause)\.message\b|\{[^{}]*\bmessage\b[^{}]*\}(?:: \w+)?\)?\s*(?:=|\))/i.test(
        text,
      ),
    )
    .map(({ file }) => file);
  expect(looking.length).toBeGreaterThan(10);
  expect(looking.filter((file) => allowed[file] === undefined)).toEqual([]);
});

test('messages with the text in them are not even asked for', () => {
  for (const { file, text } of sources) {
    expect(text, file).not.toMatch(/\.codeblock\b|prettyErrors: true/);
    // Its status and headers may be looked at.
    if (/\$response\b/.test(text)) expect(text, file).not.toMatch(/response\??\.(?!statusCode\b|headers\b)/);
    if (/from 'yaml'/.test(text) && /parse(?:All)?Documents?\(/.test(text)) {
      expect(text, file).toContain('prettyErrors: false');
      // Warnings of the package go to the process's own, past the log.
      expect(text, file).toContain("logLevel: 'error'");
    }
  }
});
