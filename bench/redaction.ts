import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { limitMemory } from '../test/support/memory-limit.ts';
import { programCommand, startInitbox } from '../test/support/program.ts';
import { numberFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { median } from './support/statistics.ts';
import { inPairs, medians } from './support/usage.ts';

export const name = 'redaction';
export const description =
  'fetch-config with 4 MB of secrets in 1,000 values and a log of 10,000 lines, against the same run whose values are public';

const values = 1000;
const limit = 96;

/** The run waits for a server whose answer is another one each time, which makes a line of the log; then it writes all. */
export async function run(flags: readonly string[], report: Report): Promise<void> {
  const rounds = numberFlag(flags, 'rounds', 3);
  const lines = numberFlag(flags, 'lines', 10_000);
  const signals = numberFlag(flags, 'signals', 20);
  using memory = limitMemory(limit << 20);
  if (memory === undefined) {
    report.skip('no cgroup can be made');
    return;
  }
  const folder = mkdtempSync('/dev/shm/initbox-bench-');
  let asked = 0;
  const server = createServer((_, response) => {
    if (++asked <= lines) response.writeHead(500 + (asked % 90)).end();
    else {
      asked = 0;
      response.end('late');
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/late`;
  try {
    const secrets = join(folder, 'secrets.json');
    const texts = Array.from({ length: values }, (_, index) => [
      `k${index}`,
      randomBytes(3072).toString('base64'),
    ]);
    writeFileSync(secrets, JSON.stringify(Object.fromEntries(texts)));
    const command = (isPublic: boolean): string[] => {
      const spec = join(folder, isPublic ? 'public.yaml' : 'secret.yaml');
      const from = (source: string) => [{ source, keys: undefined, ...(isPublic ? { public: true } : {}) }];
      const files = [
        { path: join(folder, 'out.json'), format: 'json', from: from(`file:${secrets}`) },
        { path: join(folder, 'late'), from: from(url) },
      ];
      writeFileSync(spec, JSON.stringify({ files }));
      return ['fetch-config', '--spec', spec, '--interval', '1ms', '--timeout', '0', '--log-level', 'debug'];
    };
    const whole = (isPublic: boolean): string[] => [
      ...memory.prefix,
      ...programCommand(),
      ...command(isPublic),
    ];
    const { a, b } = await inPairs(whole(false), whole(true), rounds);
    const failed = [...a, ...b].find(({ status }) => status !== 0);
    if (failed) throw new Error(`a process ended with status ${failed.status}`);
    report.say(`Medians of ${rounds}, under a limit of ${limit} MiB:`);
    report.table(
      ['run', 'CPU ms', 'wall ms', 'largest memory MiB'],
      [
        ['with secrets', ...medians(a)],
        ['the same values as content', ...medians(b)],
      ],
    );
    const ratio = median(a.map((usage, index) => usage.cpu / (b[index]?.cpu ?? Number.NaN)));
    report.figure({
      what: `4 MB of secrets, ${lines} lines of log, CPU`,
      measured: ratio,
      unit: '×',
      bound: 1.5,
    });

    const taken: number[] = [];
    for (let index = 0; index < signals; index++) {
      asked = 0;
      const running = await startInitbox(command(false), { prefix: memory.prefix });
      // Half of them in the first half second, in which the tables of the values are made.
      if (index % 2 === 0) await sleep(Math.random() * 500);
      else {
        const until = Math.random() * lines * 0.8;
        while (asked < until) await sleep(1);
      }
      const began = performance.now();
      running.kill('SIGTERM');
      await running.exit;
      taken.push(performance.now() - began);
    }
    report.say(`SIGTERM at ${signals} random moments: median ${median(taken).toFixed(0)} ms.`);
    report.figure({
      what: `4 MB of secrets in ${values} values, ${lines} lines of log, SIGTERM at any moment`,
      measured: Math.max(...taken),
      unit: 'ms',
      bound: 200,
    });
  } finally {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  }
}
