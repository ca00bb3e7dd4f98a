// Each command line of the pages and examples that writes files, twice: a container may be started again at any moment.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { exampleNames, initboxContainers, readExample } from '../../kubernetes/support/manifests.ts';
import { canMount } from '../../support/faults.ts';
import { memoryFolders } from '../../support/memory-folders.ts';
import { runInitbox } from '../../support/program.ts';
import { projectDirectory, requireOrSkip } from '../../support/tools.ts';
import { contentOf, stamps } from '../commands/copy/support.ts';

const writing = ['fetch-config', 'render', 'copy', 'chown'];

/** Where fields or a body come from that a file stands for here: what is tried is the writing. */
const source =
  /^((?:[A-Za-z_]\w*=)?)(?:vault|aws-sm|aws-ssm|gcp-sm|azure-kv|kubernetes|s3|gs|azure-blob|https?):[^#]*(#.*)?$/;

/** What no file stands for: trees of files, which their own tests fetch twice, as recipes.test.ts does, and names to resolve. */
const unplayed = /^(?:git\+|(?:s3|gs|azure-blob):.*\/$|(?:\w+=)?dns:)/;

/** Flags that are about a server, and their values. */
const ofServers = new Set([
  '--sha256',
  '--vault-role',
  '--expect-account',
  '--etag-file',
  '--header-file',
  '--user-file',
  '--netrc-file',
  '--ca-file',
]);

/** Command lines in a page: whole lines, and what is quoted in a sentence. */
function inPage(page: string): string[][] {
  const text = readFileSync(join(projectDirectory, page), 'utf8').replaceAll('\\\n', ' ');
  const found = [...text.matchAll(/(?:^|`)initbox ([^`\n#]*(?:#\w[^`\n]*)?)/gm)].map(([, line = '']) =>
    line.trim(),
  );
  return [...new Set(found)].map((line) =>
    (line.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? []).map((word) => word.replaceAll(/["']/g, '')),
  );
}

function inExample(name: string): string[][] {
  return initboxContainers(readExample(name, 'after.yaml')).map(({ command = [], args = [] }) => [
    ...command.filter((word) => !word.endsWith('/initbox')),
    ...args,
  ]);
}

/** Those that write files by themselves, by what they say. */
const lines = new Map(
  [
    ...['README.md', 'docs/fetch-config.md', 'docs/render.md', 'docs/copy.md', 'docs/chown.md'].flatMap(
      inPage,
    ),
    ...exampleNames.flatMap(inExample),
  ]
    .map((words) => words.flatMap((word) => /^(--[a-z0-9-]+)=(.*)$/s.exec(word)?.slice(1) ?? [word]))
    .filter(([command = '']) => writing.includes(command))
    .filter((words) => !words.includes('--env') && !words.includes('…') && words.length > 2)
    .filter((words) => !words.some((word) => unplayed.test(word)))
    .filter((words) => words[0] !== 'fetch-config' || words.includes('--to') || words.includes('--spec'))
    .map((words) => [words.join(' '), words]),
);

/** The same below a folder, in which what they read is made. */
function below(top: string, words: readonly string[]): string[] {
  const dashes = words.indexOf('--');
  const own = dashes < 0 ? words : words.slice(0, dashes);
  const made: string[] = [];
  for (let i = 0; i < own.length; i++) {
    const word = own[i] ?? '';
    if (ofServers.has(word)) i++;
    else if (source.test(word)) {
      const fields = word.startsWith('kubernetes:secret/tls') ? 'keys.json' : 'fields.json';
      const whole = own.includes('--decompress') ? 'fields.json.gz' : fields;
      const file = own.includes('--unpack') ? 'site.tar.gz' : whole;
      made.push(word.replace(source, (_, name = '', field = '') => `${name}file:${top}/${file}${field}`));
    } else if (/^(?:\w+=)?file:\//.test(word)) made.push(word.replace('file:', `file:${top}`));
    else made.push(word.startsWith('/') ? top + word : word);
  }
  return made;
}

function fill(top: string, words: readonly string[]): void {
  const fields = {
    config: 'a: 1\n',
    password: 'p4ssw0rd-of-a-test',
    user: 'app',
    key: 'value',
  };
  const keys = { 'tls.crt': 'a certificate', 'tls.key': 'p4ssw0rd-of-a-key' };
  writeFileSync(join(top, 'keys.json'), JSON.stringify(keys));
  writeFileSync(join(top, 'fields.json'), JSON.stringify(fields));
  execFileSync('gzip', ['-k', join(top, 'fields.json')]);
  mkdirSync(join(top, 'tree/css'), { recursive: true });
  writeFileSync(join(top, 'tree/css/a.css'), 'a {}');
  execFileSync('tar', ['-C', join(top, 'tree'), '-czf', join(top, 'site.tar.gz'), '.']);
  const target = words.indexOf('--to') + 1;
  for (const [index, word] of words.entries()) {
    const path = /^(?:\w+=)?file:([^#?]*)/.exec(word)?.[1] ?? word;
    if (
      index === 0 ||
      (!path.startsWith(`${top}/`) &&
        !/^[\w.-]+\.(?:conf|ctmpl|liquid|properties|template|tmpl)$|^lines$/.test(path))
    )
      continue;
    const whole = path.startsWith('/') ? path : join(top, path);
    mkdirSync(dirname(whole), { recursive: true });
    if (index === target) {
      if (whole.endsWith('/')) mkdirSync(whole, { recursive: true });
      // These go into a file that is there.
      if (words.includes('--block') || words.includes('--append-lines'))
        writeFileSync(whole, '[mysqld]\nport: 81\n');
      continue;
    }
    // The last word of a copy is where it goes, which is made.
    if (words[0] === 'copy' && index === lastPath(words, top)) continue;
    if (basename(whole) === 'fetch.yaml') {
      const parts = ['a', 'b'].map(
        (name) => `  - path: ${top}/config/${name}\n    from: file:${top}/fields.json#user\n`,
      );
      writeFileSync(whole, `files:\n${parts.join('')}`);
      mkdirSync(join(top, 'config'), { recursive: true });
    } else if (/\.json(?:\.gz)?$|\.tar\.gz$/.test(whole)) continue;
    else if (/\.[a-z]+$/.test(whole) || /\/(?:agent|lines)$/.test(whole)) {
      const one = whole.replaceAll('*', 'one');
      writeFileSync(one, /\.ya?ml$/.test(one) ? 'name: app\nport: 80\n' : 'port: 80\n');
    } else {
      mkdirSync(join(whole, 'sub'), { recursive: true });
      writeFileSync(join(whole, 'f.yaml'), 'port: 80\n');
    }
  }
}

function lastPath(words: readonly string[], top: string): number {
  return words.findLastIndex((word) => word.startsWith(`${top}/`));
}

const why = process.getuid?.() === 0 ? canMount() : 'owners need root';

describe.skipIf(requireOrSkip('command lines of the pages, twice', why))(
  'twice, and the second one right too',
  () => {
    const memoryFolder = memoryFolders('64m');

    test('there are some of each command, of pages and examples', () => {
      const commands = new Set([...lines.values()].map(([command = '']) => command));
      expect([...commands].toSorted()).toEqual(writing.toSorted());
      expect(lines.size).toBeGreaterThan(20);
    });

    test.each([...lines])('%s', async (_line, words) => {
      const top = memoryFolder();
      const argv = below(top, words);
      fill(top, argv);
      const env = {
        SERVER_NAME: 'localhost',
        PORT: '80',
        DB_PASSWORD: 'p4ssw0rd-of-a-test',
        HOSTNAME: 'kafka-2',
        APP_INI: 'password=p4ssw0rd-of-a-test',
      };
      const first = await runInitbox(argv, { cwd: top, env });
      expect(first.status, first.stderr).toBe(0);
      const [found, files] = [contentOf(top), stamps(top, '-type', 'f')];
      const second = await runInitbox(argv, { cwd: top, env });
      expect(second.status, second.stderr).toBe(0);
      expect(contentOf(top)).toEqual(found);
      // Not written anew either.
      expect(stamps(top, '-type', 'f')).toBe(files);
    });
  },
);
