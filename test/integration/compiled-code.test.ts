import { cpSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { runInitbox } from '../support/program.ts';
import { nodePath, projectDirectory } from '../support/tools.ts';
import { temporaryDirectory } from '../support/undo.ts';

const copy = join(temporaryDirectory('compiled').path, 'dist');
const files = globSync('**/*.code', { cwd: join(projectDirectory, 'dist') });

beforeAll(() => cpSync(join(projectDirectory, 'dist'), copy, { recursive: true }));

/** Loads the entry and tells, for each file that a run loads, whether V8 took the code that lies beside it. */
const look = `
const files = [];
globalThis[Symbol.for('initbox.compiled')] = { set: (file, script) => files.push([file, script.cachedDataRejected]) };
process.on('exit', () => process.stdout.write(JSON.stringify(files)));
`;

async function taken(words: readonly string[]): Promise<Record<string, boolean | undefined>> {
  const preload = join(copy, 'look.cjs');
  writeFileSync(preload, look);
  const { stdout } = await runInitbox(words, {
    program: [nodePath(), '--require', preload, join(copy, 'initbox.js')],
  });
  const found = JSON.parse(stdout) as [string, boolean | undefined][];
  return Object.fromEntries(found.map(([file, rejected]) => [basename(file), rejected]));
}

test('the program, each command that pods run and each large package has its code', () => {
  expect(files).toContain('program.js.code');
  for (const command of [
    'chown',
    'copy',
    'fetch-config',
    'migrate-with-lock',
    'render',
    'run',
    'wait-http',
    'wait-postgres',
  ])
    expect(files).toContain(`commands/${command}.js.code`);
  for (const name of ['aws-sdk-client-secrets-manager', 'liquidjs', 'node-vault', 'yaml'])
    expect(files).toContain(`packages/${name}.js.code`);
});

test('V8 takes it', async () => {
  expect(await taken(['chown', '0', '/nowhere'])).toEqual({ 'program.js': false, 'chown.js': false });
});

test('code that is not V8’s, cut short or of another version is no harm', async () => {
  for (const [index, file] of files.entries()) {
    const code = readFileSync(join(copy, file));
    const other = Buffer.from(code);
    // The version's hash is in the second word of the header.
    other.writeUInt32LE((other.readUInt32LE(4) ^ 1) >>> 0, 4);
    writeFileSync(
      join(copy, file),
      [other, code.subarray(0, code.length >> 1), Buffer.alloc(100, 'x'), Buffer.alloc(0)][index % 4] ??
        other,
    );
  }
  const found = await taken(['chown', '0', '/nowhere']);
  expect(found).toEqual({ 'program.js': true, 'chown.js': true });
  const { status, stderr } = await runInitbox(['fetch-config', 'env:A', '--to', join(copy, 'a')], {
    program: [nodePath(), join(copy, 'initbox.js')],
    env: { A: 'value' },
  });
  expect(stderr).toContain('fetch-config: ');
  expect(status).toBe(2);
});
