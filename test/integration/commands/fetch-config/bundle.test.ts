import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { runInitbox } from '../../../support/program.ts';
import { nodePath, projectDirectory } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { respond, startFaultServer } from './fault-server.ts';

const dist = join(projectDirectory, 'dist');

describe('the bundle', () => {
  test('holds nothing of axios, nor what came with it', () => {
    const { inputs } = JSON.parse(readFileSync(join(dist, 'meta.json'), 'utf8')) as {
      inputs: Record<string, unknown>;
    };
    const names = Object.keys(inputs);
    expect(names.filter((name) => /node_modules\/(node-vault|@aws-sdk)/.test(name)).length).toBeGreaterThan(
      1,
    );
    expect(
      names.filter((name) =>
        /node_modules\/(axios|follow-redirects|form-data|mime-db|proxy-from-env|debug|tv4|mustache)\//.test(
          name,
        ),
      ),
    ).toEqual([]);
    for (const file of readdirSync(join(dist, 'packages'))) {
      expect(readFileSync(join(dist, 'packages', file), 'utf8').includes('axios'), file).toBe(false);
    }
  });
});

describe('a source loads its own client alone', () => {
  let work: ReturnType<typeof temporaryDirectory>;
  beforeAll(() => {
    work = temporaryDirectory('bundle');
  });
  afterAll(() => work.remove());

  /** The program with some of its packages taken out: what needs one of them cannot run. */
  function without(label: string, pattern: RegExp): readonly string[] {
    const folder = join(work.path, label);
    cpSync(dist, folder, { recursive: true });
    const gone = readdirSync(join(folder, 'packages')).filter((name) => pattern.test(name));
    expect(gone).not.toEqual([]);
    for (const name of gone) rmSync(join(folder, 'packages', name));
    return [nodePath(), join(folder, 'initbox.js')];
  }

  const json = { 'Content-Type': 'application/json' };
  const vault = {
    '/v1/sys/internal/ui/mounts/secret/a': respond(
      200,
      JSON.stringify({ data: { path: 'secret/', type: 'kv', options: { version: '1' } } }),
      json,
    ),
    '/v1/secret/a': respond(200, JSON.stringify({ data: { key: 'value' } }), json),
  };

  test('vault: without the AWS SDK, pg and yargs', async () => {
    await using server = await startFaultServer(vault);
    const env = { VAULT_ADDR: server.url, VAULT_TOKEN: 't' };
    const args = ['fetch-config', 'vault:secret/a#key', '--to', join(work.path, 'a'), '--allow-disk'];
    expect((await runInitbox(args, { env, program: without('vault', /^(?!node-vault)/) })).status).toBe(0);
    // The proof that a missing package is noticed.
    expect((await runInitbox(args, { env, program: without('none', /node-vault/) })).status).toBe(1);
  });

  test('http, file and env: without any package', async () => {
    await using server = await startFaultServer({ '/f': respond(200, 'text') });
    const program = without('http', /./);
    writeFileSync(join(work.path, 'source'), '{"a":"b"}');
    mkdirSync(join(work.path, 'out'));
    const run = (...args: string[]) =>
      runInitbox(['fetch-config', ...args], { program, env: { SOME: 'thing' } });
    expect((await run(`${server.url}/f`, '--to', join(work.path, 'b'))).status).toBe(0);
    const mixed = await run(
      `file:${join(work.path, 'source')}`,
      'env:SOME',
      '--format',
      'files',
      '--to',
      join(work.path, 'out'),
      '--allow-disk',
    );
    expect(mixed.status).toBe(0);
    expect(readFileSync(join(work.path, 'out', 'a'), 'utf8')).toBe('b');
    expect(readFileSync(join(work.path, 'out', 'SOME'), 'utf8')).toBe('thing');
  });
});
