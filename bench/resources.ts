import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync, mkdirSync, chmodSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';
import { promisify } from 'node:util';

import { startInitPhase } from './support/init-phase.ts';
import type { Report } from './support/report.ts';

export const name = 'resources';
export const description = 'the memory and processor time that an init container needs';

const image = env['IMAGE'] ?? 'initbox:dev';

/** Reads its own cgroup at the end, version 2 or 1: the time that was used, the most memory, what of it were files. */
const reader = `
  const { readFileSync } = require('fs');
  const first = (...paths) => { for (const path of paths) try { return readFileSync(path, 'utf8'); } catch {} return ''; };
  const micro = /usage_usec (\\d+)/.exec(first('/sys/fs/cgroup/cpu.stat'))?.[1] ?? Number(first('/sys/fs/cgroup/cpuacct/cpuacct.usage')) / 1000;
  console.log(Number(micro) / 1000);
`;

/**
 * For each command the least limit of memory under which it succeeds, in steps of 4 MiB, and the processor's time, less
 * that of a bare Node that reads the cgroup. Pages of the program's files count, where the limit is what evicts them.
 */
export async function run(_flags: readonly string[], report: Report): Promise<void> {
  await using phase = await startInitPhase();
  const folder = mkdtempSync('/tmp/initbox-resources-');
  try {
    chmodSync(folder, 0o777);
    mkdirSync(join(folder, 'migrations'));
    mkdirSync(join(folder, 'shared'));
    chmodSync(join(folder, 'shared'), 0o777);
    writeFileSync(join(folder, 'migrations', '1_users.sql'), 'create table if not exists users (id int)');
    writeFileSync(join(folder, 'token'), phase.token);
    writeFileSync(join(folder, 'app.conf.liquid'), 'listen: {{ env.HOME | yaml }}');
    const vault = ['--vault-token-file', '/work/token', '--to', '/work/app.conf', '--allow-disk'];
    const steps = [
      { name: 'port', uses: 'wait-tcp', targets: phase.address },
      { name: 'name', uses: 'wait-dns', names: 'db.example', server: phase.server },
      {
        name: 'config',
        uses: 'fetch-config',
        sources: 'vault:secret/app#config',
        'vault-token-file': '/work/token',
        to: '/work/plan.conf',
        'allow-disk': true,
      },
      { name: 'migrate', uses: 'migrate-with-lock', sql: '/work/migrations', needs: ['port', 'name'] },
    ];
    writeFileSync(join(folder, 'plan.json'), JSON.stringify({ steps }));
    const commands: Record<string, readonly string[]> = {
      'wait-tcp': ['wait-tcp', phase.address],
      'wait-dns': ['wait-dns', 'db.example', '--server', phase.server],
      'wait-postgres': ['wait-postgres'],
      'migrate-with-lock': ['migrate-with-lock', '--sql', '/work/migrations'],
      'fetch-config vault:': ['fetch-config', 'vault:secret/app#config', ...vault],
      render: ['render', '/work/app.conf.liquid', '--language', 'liquid', '--to', '/work/rendered.conf'],
      copy: ['copy', '/initbox/lib', '/work/shared/copied'],
      install: ['install', '/work/shared'],
      'run, four steps': ['run', '/work/plan.json'],
    };
    const variables = Object.entries(phase.environment).flatMap(([key, text]) => ['--env', `${key}=${text}`]);
    const options = ['--network=host', '--user=0', '--env=HOME=/', `--volume=${folder}:/work`, ...variables];
    const bare = await processorTime(options, undefined);
    const rows: (string | number)[][] = [];
    for (const [label, words] of Object.entries(commands)) {
      const least = await leastMemory(options, words);
      rows.push([label, least, (await processorTime(options, words)) - bare]);
    }
    report.table(['command', 'least memory limit, MiB', 'processor ms'], rows);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function succeeds(
  options: readonly string[],
  limit: number,
  words: readonly string[],
): Promise<boolean> {
  const memory = [`--memory=${limit}m`, `--memory-swap=${limit}m`];
  return docker(['run', '--rm', ...memory, ...options, image, ...words]).then(
    () => true,
    () => false,
  );
}

async function leastMemory(options: readonly string[], words: readonly string[]): Promise<number> {
  for (let limit = 8; limit <= 256; limit += 4) {
    // Three times: what fits by chance is not enough.
    const tries = [];
    for (let round = 0; round < 3; round += 1) tries.push(await succeeds(options, limit, words));
    if (tries.every(Boolean)) return limit;
  }
  return Number.NaN;
}

async function processorTime(
  options: readonly string[],
  words: readonly string[] | undefined,
): Promise<number> {
  const successor = ['/initbox/bin/node', '-e', reader];
  // --sql takes no command; the lock costs the same around one.
  const before = words?.[0] === 'migrate-with-lock' ? ['migrate-with-lock'] : (words ?? []);
  const command = [...before, '--', ...successor];
  const entrypoint = words === undefined ? ['--entrypoint', '/initbox/bin/node'] : [];
  const rest = words === undefined ? successor.slice(1) : command;
  const { stdout } = await docker(['run', '--rm', ...options, ...entrypoint, image, ...rest]);
  return Number(stdout.trim());
}

function docker(words: readonly string[]): Promise<{ stdout: string }> {
  return promisify(execFile)('docker', words, { timeout: 60_000 });
}
