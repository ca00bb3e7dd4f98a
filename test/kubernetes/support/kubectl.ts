// kubectl as a user runs it: KUBECONFIG names the cluster.
import { spawn } from 'node:child_process';

import { run } from '../../support/build-cache.ts';
import { waitUntil } from '../../support/wait-until.ts';

/** What an API object has for the tests. */
export interface Thing {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; [key: string]: unknown };
  [key: string]: unknown;
}

/** Runs kubectl to its end; what it printed, trimmed. Throws with its standard error. */
export async function kubectl(...args: readonly string[]): Promise<string> {
  return (await run(['kubectl', ...args])).trim();
}

/** As kubectl, with something on its standard input. */
export async function kubectlWith(input: string, ...args: readonly string[]): Promise<string> {
  return (await run(['kubectl', ...args], { input })).trim();
}

/** Creates objects, or changes them to what is given here. */
export function apply(things: readonly Thing[], ...flags: readonly string[]): Promise<string> {
  const list = { apiVersion: 'v1', kind: 'List', items: things };
  return kubectlWith(JSON.stringify(list), 'apply', '-f', '-', ...flags);
}

/** `kubectl get … -o json`, parsed. */
export async function get<T>(...args: readonly string[]): Promise<T> {
  return JSON.parse(await kubectl('get', ...args, '-o', 'json')) as T;
}

/** Lines of `kubectl get pods --watch`, as they come. */
export class PodWatch implements Disposable {
  readonly lines: string[] = [];
  readonly #child;

  constructor(namespace: string, selector = '') {
    const words = ['get', 'pods', '-n', namespace, '--watch', '--no-headers'];
    this.#child = spawn('kubectl', [...words, ...(selector === '' ? [] : ['-l', selector])], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let rest = '';
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      this.lines.push(...lines.filter((line) => line !== ''));
    });
  }

  /** The STATUS column of each pod over time, without repetitions. */
  phases(): Map<string, string[]> {
    const phases = new Map<string, string[]>();
    for (const line of this.lines) {
      const [pod = '', , status = ''] = line.split(/\s+/);
      const seen = phases.get(pod) ?? [];
      if (seen.at(-1) !== status) seen.push(status);
      phases.set(pod, seen);
    }
    return phases;
  }

  /** Waits for a status of some pod; the pod's name. */
  until(status: RegExp, timeout = 60_000): Promise<string> {
    const look = (): string | undefined =>
      this.lines.findLast((line) => status.test(line.split(/\s+/)[2] ?? ''))?.split(/\s+/)[0];
    return waitUntil(look, { timeout, what: () => `${status}; so far:\n${this.lines.join('\n')}` });
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}
