import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

import { noCluster, startCluster } from '../test/kubernetes/support/cluster.ts';
import { Namespace } from '../test/kubernetes/support/namespace.ts';
import { endedStatus, managedJob } from '../test/kubernetes/support/status.ts';
import { freePort } from '../test/support/ports.ts';
import { programCommand } from '../test/support/program.ts';
import { waitUntil } from '../test/support/wait-until.ts';
import { numberFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { mean, median } from './support/statistics.ts';

export const name = 'wait-kubernetes';
export const description = 'from the end of a Job to the exit of who waits for it';

/** Milliseconds that a tool gets to begin its watch. */
const settling = 6000;

/**
 * Nobody's pods are waited for: the status of the Job is written here (spec.managedBy), so that its end is the moment in
 * which that request is sent. Both tools in turn, each on a new Job.
 */
export async function run(flags: readonly string[], report: Report): Promise<void> {
  const reason = noCluster();
  if (reason !== undefined) return report.skip(`${reason} (test/kubernetes/README.md)`);
  const rounds = numberFlag(flags, 'rounds', 10);
  await using _cluster = await startCluster();
  await using namespace = await Namespace.create('bench-wait');
  await using api = await startProxy();
  const tools = [
    { name: 'initbox', command: (job: string) => [...programCommand(), 'wait-kubernetes', `job/${job}`] },
    {
      name: 'kubectl wait',
      command: (job: string) => ['kubectl', 'wait', '--for=condition=Complete', `job/${job}`],
    },
  ].map((tool) => ({ ...tool, times: [] as number[] }));
  for (let round = 0; round <= rounds; round += 1)
    for (const [index, tool] of tools.entries()) {
      const job = `job-${round}-${index}`;
      await namespace.apply([managedJob(job)]);
      const took = await exitAfterEnd(tool.command(job), api.url, namespace.name, job);
      // The first round reads files from the disk.
      if (round > 0) tool.times.push(took);
    }
  report.table(
    ['waiting for a Job', 'mean ms', 'median', 'most'],
    tools.map(({ name: tool, times }) => [tool, mean(times), median(times), Math.max(...times)]),
  );
  const [ours = [], peers = []] = tools.map(({ times }) => times);
  report.say(`${rounds} Jobs each, in turn:`);
  report.figure({
    what: "from the Job's end to the exit of wait-kubernetes, median",
    measured: median(ours),
    unit: 'ms',
    bound: 200,
  });
  report.figure({
    what: "from the Job's end to the exit, medians",
    measured: median(ours) / median(peers),
    unit: '×',
    peer: 'kubectl wait',
  });
}

/** @returns milliseconds from the sending of the Job's end to the end of the process */
async function exitAfterEnd(
  command: readonly string[],
  url: string,
  namespace: string,
  job: string,
): Promise<number> {
  const [file = '', ...words] = command;
  const child = spawn(file, [...words, '--namespace', namespace], { stdio: 'ignore' });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status) =>
      status === 0 ? resolve(performance.now()) : reject(new Error(`${file} ended with ${String(status)}`)),
    );
  });
  await Promise.race([sleep(settling), ended]);
  const began = performance.now();
  const answer = await fetch(`${url}/apis/batch/v1/namespaces/${namespace}/jobs/${job}/status`, {
    method: 'PATCH',
    headers: { 'Content-Type': 'application/merge-patch+json' },
    body: JSON.stringify({ status: endedStatus() }),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return (await ended) - began;
}

/** `kubectl proxy`: a request then costs no start of a process. */
async function startProxy(): Promise<AsyncDisposable & { url: string }> {
  const port = await freePort();
  const child: ChildProcess = spawn('kubectl', ['proxy', `--port=${port}`], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  await waitUntil(
    () =>
      fetch(`${url}/version`)
        .then(({ ok }) => ok)
        .catch(() => false),
    {
      timeout: 30_000,
      what: 'kubectl proxy',
    },
  );
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill();
      await new Promise((resolve) => child.once('exit', resolve));
    },
  };
}
