// Asks the real consul-template what it makes of templates, and compares: `npm run consul-template` for those of the corpus,
// of which --record writes the results to expected.json, and with `-- --random 300 --seed 1` for random ones.
import { spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { consulTemplateCompiler } from '../../../../../src/commands/render/consul-template/language.ts';
import { consulTemplateBinary } from '../../../../support/go.ts';
import { temporaryDirectory } from '../../../../support/undo.ts';
import { corpus } from './corpus.ts';
import { randomTemplates, randomVariables } from './random.ts';
import { startReadServer, token, variables, withPlaceholders, type Expected } from './server.ts';

const { values: given } = parseArgs({
  options: {
    record: { type: 'boolean', default: false },
    random: { type: 'string' },
    seed: { type: 'string', default: '1' },
  },
});
const binary = await consulTemplateBinary();
const folder = temporaryDirectory('consul-template');
try {
  process.exitCode =
    given.random === undefined
      ? await compareCorpus()
      : await compareRandom(Number(given.random), Number(given.seed));
} finally {
  folder.remove();
}

/** @returns 1 where what is made is not what is recorded */
async function compareCorpus(): Promise<number> {
  const path = join(import.meta.dirname, 'expected.json');
  const made: Record<string, Expected> = {};
  const file = join(folder.path, 'file');
  writeFileSync(file, 'text of a file\n');
  for (const { name, template } of corpus) {
    await using server = await startReadServer();
    const { bytes, error } = await real(template.replaceAll('FILE', file), {
      ...variables,
      VAULT_ADDR: server.address,
      VAULT_TOKEN: token,
      CONSUL_HTTP_ADDR: server.address,
    });
    made[name] =
      bytes === undefined
        ? { error: error.replaceAll(server.address, 'ADDRESS').replaceAll(folder.path, 'FOLDER') }
        : withPlaceholders(bytes, server.pems, file);
  }
  if (given.record) {
    writeFileSync(path, `${JSON.stringify(made, null, 2)}\n`);
    return 0;
  }
  const recorded = JSON.parse(readFileSync(path, 'utf8')) as Record<string, Expected>;
  const differ = corpus.filter(({ name }) => JSON.stringify(recorded[name]) !== JSON.stringify(made[name]));
  console.log(
    differ.length === 0 ? 'all as recorded' : `differ: ${differ.map(({ name }) => name).join(', ')}`,
  );
  return differ.length === 0 ? 0 : 1;
}

/** Ours may refuse what the other one makes; what both make is the same. @returns 1 where it is not */
async function compareRandom(count: number, seed: number): Promise<number> {
  const next = randomTemplates(seed);
  const found = {
    same: 0,
    'refused by both': 0,
    'refused by ours': 0,
    'made by ours alone': 0,
    different: 0,
  };
  const scene = {
    environment: randomVariables,
    unreadable: new Set<string>(),
    now: new Date(),
    secret: () => {},
    largest: 2 ** 24,
  };
  const compile = consulTemplateCompiler({ delimiters: undefined }, scene, new AbortController().signal);
  for (let index = 0; index < count; index++) {
    const template = next();
    const theirs = (await real(template, randomVariables)).bytes;
    const compiled = compile(template);
    const made =
      'problems' in compiled
        ? compiled
        : await compiled.render({ ...scene, entries: new Map() }, () =>
            Promise.reject(new Error('nothing is read')),
          );
    const ours = 'problems' in made ? undefined : Buffer.from(made.bytes ?? made.text);
    const what =
      theirs === undefined
        ? ours === undefined
          ? 'refused by both'
          : 'made by ours alone'
        : ours === undefined
          ? 'refused by ours'
          : theirs.equals(ours)
            ? 'same'
            : 'different';
    found[what]++;
    if (what === 'different' || what === 'made by ours alone')
      console.log(what, JSON.stringify({ template, theirs: theirs?.toString(), ours: ours?.toString() }));
  }
  console.log(JSON.stringify(found));
  return found.different + found['made by ours alone'] > 0 ? 1 : 0;
}

/** What the real program makes of a template, or why it makes nothing. */
async function real(
  template: string,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly bytes?: Buffer; readonly error: string }> {
  const [from, to] = [join(folder.path, 'in.ctmpl'), join(folder.path, 'out')];
  writeFileSync(from, template);
  // pkiCert looks for a certificate in it.
  rmSync(to, { force: true });
  const words = ['-once', '-vault-renew-token=false', '-vault-retry=false', '-consul-retry=false'];
  const child = spawn(binary, [...words, '-template', `${from}:${to}`], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 20_000,
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  if (status === 0) return { bytes: readFileSync(to), error: '' };
  const said = stderr.replace(/^.*\[ERR\] \(cli\) /gm, '');
  return { error: /(?:parse|execute|failed)[^\n]*/.exec(said)?.[0] ?? 'failed' };
}
