import { execFile, execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';
import { promisify } from 'node:util';

import { baoBinary } from '../test/support/openbao.ts';
import { numberFlag } from './support/benchmark.ts';
import { startInitPhase } from './support/init-phase.ts';
import type { Report } from './support/report.ts';
import { median } from './support/statistics.ts';

export const name = 'init-phase';
export const description = 'one run container, against five containers of the usual images’ tools';

/** The image that is measured; `npm run image` makes it. */
const image = env['IMAGE'] ?? 'initbox:dev';
const busybox = 'initbox-base/busybox:musl';
/** Has psql, as migration images have their tool beside a distribution. */
const debian = 'initbox-base/debian:bookworm';
const bao = 'initbox-bench/bao';
/** busybox nslookup asks port 53 alone. Debian's busybox has no `nc -z`; connecting and running `true` is the same. */
const nameServer = { address: '127.0.0.57', port: 53 };

/**
 * Every dependency is up; the containers share the host's network, so that making one, which would be paid five times,
 * is not in the figures. They run one after another, as a kubelet runs init containers; the kubelet's own time is not
 * in the figures either. Both sides do the same work on the same servers, in turn.
 */
export async function run(flags: readonly string[], report: Report): Promise<void> {
  const rounds = numberFlag(flags, 'rounds', 5);
  await makeBaoImage();
  await using phase = await startInitPhase(nameServer);
  const folder = mkdtempSync('/tmp/initbox-init-phase-');
  try {
    const { one, five } = workOf(folder, phase.address, phase.token);
    const environment = { ...phase.environment, VAULT_TOKEN: phase.token };
    const [a, b]: [number[], number[]] = [[], []];
    const parts: number[][] = five.map(() => []);
    for (let round = 0; round <= rounds; round += 1) {
      const single = await container(one, folder, environment);
      const took: number[] = [];
      for (const command of five) took.push(await container(command, folder, environment));
      // The first round reads files from the disk.
      if (round === 0) continue;
      a.push(single);
      b.push(took.reduce((sum, part) => sum + part, 0));
      for (const [index, part] of took.entries()) parts[index]?.push(part);
    }
    report.table(
      ['containers', 'ms, median'],
      [
        ['initbox run, five steps', median(a)],
        ['five containers', median(b)],
        ...five.map(({ label }, index) => [`of them ${label}`, median(parts[index] ?? [])]),
      ],
    );
    report.say(`Median of ${rounds} ratios, pair by pair:`);
    report.figure({
      what: 'init phase of five steps in one container',
      measured: median(a.map((milliseconds, index) => milliseconds / (b[index] ?? Number.NaN))),
      unit: '×',
      bound: 0.4,
      peer: 'five containers of the usual tools',
    });
    report.plot({
      title: 'Init phase of five steps under Docker',
      kind: 'points',
      unit: 'ms',
      series: [
        { name: 'one initbox run', values: a },
        { name: 'five containers', values: b },
      ],
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Command {
  readonly label: string;
  readonly image: string;
  readonly words: readonly string[];
}

function workOf(folder: string, address: string, token: string): { one: Command; five: readonly Command[] } {
  const [host = '', port = ''] = address.split(':');
  mkdirSync(join(folder, 'migrations'));
  mkdirSync(join(folder, 'data'));
  const sql = 'create table if not exists users (id int)';
  writeFileSync(join(folder, 'migrations', '1_users.sql'), sql);
  writeFileSync(join(folder, 'token'), token);
  const steps = [
    { name: 'port', uses: 'wait-tcp', targets: address },
    { name: 'name', uses: 'wait-dns', names: 'db.example', server: nameServer.address },
    {
      name: 'config',
      uses: 'fetch-config',
      sources: 'vault:secret/app#config',
      'vault-token-file': '/work/token',
      to: '/work/app.conf',
      'allow-disk': true,
    },
    { name: 'owner', uses: 'chown', owner: '1000:1000', paths: '/work/data' },
    { name: 'migrate', uses: 'migrate-with-lock', sql: '/work/migrations', needs: ['port', 'name'] },
  ];
  writeFileSync(join(folder, 'plan.yaml'), JSON.stringify({ steps }, null, 1));
  return {
    one: { label: 'run', image, words: ['run', '/work/plan.yaml'] },
    five: [
      {
        label: 'busybox nc',
        image: busybox,
        words: ['sh', '-c', `until nc -w 2 ${host} ${port} -e true; do sleep 2; done`],
      },
      {
        label: 'busybox nslookup',
        image: busybox,
        words: ['sh', '-c', `until nslookup db.example ${nameServer.address}; do sleep 2; done`],
      },
      {
        label: 'bao kv get',
        image: bao,
        words: ['sh', '-c', 'bao kv get -field=config secret/app >/work/other.conf'],
      },
      { label: 'busybox chown', image: busybox, words: ['chown', '-R', '1000:1000', '/work/data'] },
      {
        label: 'psql as the migration',
        image: debian,
        words: ['sh', '-c', `psql "$DATABASE_URL" --set ON_ERROR_STOP=1 --file /work/migrations/1_users.sql`],
      },
    ],
  };
}

/** @returns milliseconds from the start of the client to the end of the container */
async function container(
  { label, image: of, words }: Command,
  folder: string,
  environment: Readonly<Record<string, string>>,
): Promise<number> {
  const variables = Object.entries(environment).flatMap(([key, text]) => ['--env', `${key}=${text}`]);
  const options = ['--rm', '--network', 'host', '--user', '0', '--volume', `${folder}:/work`, ...variables];
  const started = performance.now();
  try {
    await promisify(execFile)('docker', ['run', ...options, of, ...words], { timeout: 60_000 });
  } catch (error) {
    throw new Error(`${label} failed: ${String((error as { stderr?: string }).stderr)}`, { cause: error });
  }
  return performance.now() - started;
}

/** The tool of a Vault image, on the distribution that the base images are made of. */
async function makeBaoImage(): Promise<void> {
  const context = mkdtempSync('/tmp/initbox-bao-');
  try {
    copyFileSync(await baoBinary(), join(context, 'bao'));
    writeFileSync(join(context, 'Dockerfile'), `FROM ${debian}\nCOPY bao /usr/local/bin/bao\n`);
    execFileSync('docker', ['build', '--quiet', '--tag', bao, context], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}
