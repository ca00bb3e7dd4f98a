import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { startInitPhase, type InitPhase } from '../../bench/support/init-phase.ts';
import { docker, runImage } from './docker.ts';

let phase: InitPhase;
let folder: string;
let mounted: string[];

beforeAll(async () => {
  phase = await startInitPhase();
  folder = await mkdtemp(join(tmpdir(), 'initbox-plan-'));
  await chmod(folder, 0o777);
  await mkdir(join(folder, 'migrations'));
  await mkdir(join(folder, 'data'));
  await writeFile(join(folder, 'migrations', '1_users.sql'), 'create table if not exists users (id int)');
  await writeFile(join(folder, 'token'), phase.token);
  const variables = Object.entries(phase.environment).flatMap(([name, text]) => ['--env', `${name}=${text}`]);
  // The servers listen on this machine's loopback.
  mounted = ['--network', 'host', '--volume', `${folder}:/work`, ...variables];
}, 120_000);
afterAll(async () => {
  await phase[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function writePlan(user: string | undefined): Promise<void> {
  const as = user === undefined ? {} : { user };
  const steps = [
    { name: 'port', uses: 'wait-tcp', targets: phase.address },
    { name: 'name', uses: 'wait-dns', names: 'db.example', server: phase.server },
    {
      name: 'config',
      uses: 'fetch-config',
      sources: 'vault:secret/app#config',
      'vault-token-file': '/work/token',
      to: '/work/app.conf',
      'allow-disk': true,
    },
    { name: 'owner', uses: 'chown', owner: '1000:1000', paths: '/work/data' },
    { name: 'migrate', uses: 'migrate-with-lock', sql: '/work/migrations', needs: ['port', 'name'], ...as },
  ];
  await writeFile(join(folder, 'plan.json'), JSON.stringify({ steps }));
}

/** What chown and a step's user need, and nothing else. */
const few = [
  '--read-only',
  '--cap-drop',
  'ALL',
  ...['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETUID', 'SETGID'].flatMap((name) => ['--cap-add', name]),
  '--security-opt',
  'no-new-privileges',
];

test.each([
  ['in one process', undefined],
  ['with a step as another user', '1000:1000'],
])('five steps %s pass under a memory limit of 96 MiB', async (_words, user) => {
  await writePlan(user);
  const limit = ['--memory', '96m', '--memory-swap', '96m'];
  const args = ['run', '/work/plan.json', '--', '/initbox/bin/node', '-e', 'console.log(process.pid)'];
  const { status, stdout, stderr } = await runImage([...mounted, ...few, ...limit, '--user', '0'], args);
  expect({ status, stdout }, stderr).toEqual({ status: 0, stdout: '1\n' });
  expect(await readFile(join(folder, 'app.conf'), 'utf8')).toBe('listen: 8080\n');
  expect((await stat(join(folder, 'data'))).uid).toBe(1000);
});

test('the most memory that it took, as the kernel counts it', async () => {
  await writePlan(undefined);
  const args = ['run', '/work/plan.json', '--', '/initbox/bin/node', '-e', peak];
  const { status, stdout, stderr } = await runImage(
    [...mounted, ...few, '--memory', '96m', '--user', '0'],
    args,
  );
  expect(status, stderr).toBe(0);
  const [mebibytes = Number.NaN, kills] = stdout.trim().split(' ').map(Number);
  console.log(`five steps, with the successor that read it: ${mebibytes.toFixed(0)} MiB at most`);
  expect(kills).toBe(0);
  expect(mebibytes).toBeLessThanOrEqual(96);
});

/** cgroup v2, or v1 where the machine has that. */
const peak = `
  const { readFileSync } = require('fs');
  const first = (...paths) => { for (const path of paths) try { return readFileSync(path, 'utf8'); } catch {} return ''; };
  const bytes = Number(first('/sys/fs/cgroup/memory.peak', '/sys/fs/cgroup/memory/memory.max_usage_in_bytes'));
  const kills = /oom_kill (\\d+)/.exec(first('/sys/fs/cgroup/memory.events', '/sys/fs/cgroup/memory/memory.oom_control'));
  console.log(bytes / 1048576, kills ? kills[1] : 0);
`;

test('the schema of a plan is in the image', async () => {
  const { status, stdout } = await docker([
    'run',
    '--rm',
    '--network',
    'none',
    process.env['IMAGE'] ?? 'initbox:dev',
    'schema',
    'plan',
  ]);
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ title: 'A plan of initbox run' });
});
