import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { median } from './statistics.ts';

/** What the kernel accounts to one finished process and its children; times in milliseconds, memory in KiB. */
export interface Usage {
  readonly cpu: number;
  readonly wall: number;
  readonly memory: number;
  readonly status: number;
}

/** wait4(2) tells it, which Node does not offer and Python does. */
const script = `
import json, os, subprocess, sys, time
runs = json.load(sys.stdin)
out = []
for command in runs:
    began = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = 0
    out.append({'cpu': (usage.ru_utime + usage.ru_stime) * 1000, 'wall': (time.monotonic() - began) * 1000,
                'memory': usage.ru_maxrss, 'status': os.waitstatus_to_exitcode(status)})
json.dump(out, sys.stdout)
`;

/** Runs commands one after another and tells what each took. */
export async function usageOf(commands: readonly (readonly string[])[]): Promise<Usage[]> {
  const running = promisify(execFile)('python3', ['-c', script], { maxBuffer: 1 << 26 });
  running.child.stdin?.end(JSON.stringify(commands));
  return JSON.parse((await running).stdout) as Usage[];
}

/** Runs two commands in turn, A B A B …, after one uncounted turn, so that a drift of the machine hits both. */
export async function inPairs(
  a: readonly string[],
  b: readonly string[],
  rounds: number,
): Promise<{ a: Usage[]; b: Usage[] }> {
  const usages = await usageOf(Array.from({ length: rounds + 1 }, () => [a, b]).flat());
  return {
    a: usages.filter((_, index) => index % 2 === 0).slice(1),
    b: usages.filter((_, index) => index % 2 === 1).slice(1),
  };
}

/** Medians of several runs: CPU and wall time in milliseconds, and memory in MiB. */
export function medians(usages: readonly Usage[]): [cpu: number, wall: number, memory: number] {
  return [
    median(usages.map(({ cpu }) => cpu)),
    median(usages.map(({ wall }) => wall)),
    median(usages.map(({ memory }) => memory / 1024)),
  ];
}
