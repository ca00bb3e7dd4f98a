import { spawn } from 'node:child_process';
import { env } from 'node:process';

/** What is tested; another by IMAGE, as in `npm run image`. */
export const image = env['IMAGE'] ?? 'initbox:dev';
/** A base with musl and a shell, and one with glibc of which parts are taken. */
export const muslImage = env['MUSL_IMAGE'] ?? 'busybox:musl';
export const nodeImage = env['NODE_IMAGE'] ?? 'node:26-bookworm-slim';

export interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly milliseconds: number;
}

/** Runs the docker client to its end, whatever its status. */
export function docker(args: readonly string[], input = ''): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn('docker', args, { stdio: 'pipe' });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (status) =>
      resolve({ status: status ?? -1, stdout, stderr, milliseconds: performance.now() - started }),
    );
    // A container that does not read its input: its status tells, not EPIPE.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** As docker, but a failure of the client is the test's. Returns what it printed, trimmed. */
export async function dockerOk(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await docker(args);
  if (status !== 0) throw new Error(`docker ${args.join(' ')} ended with ${status}: ${stderr}`);
  return stdout.trim();
}

/** `docker run --rm OPTIONS IMAGE ARGUMENTS`, without any network but loopback unless the options say otherwise. */
export function runImage(options: readonly string[], args: readonly string[], of = image): Promise<Ended> {
  const network = options.includes('--network') ? [] : ['--network', 'none'];
  return docker(['run', '--rm', ...network, ...options, of, ...args]);
}

/** A container in the background that is removed at the end of the scope. */
export interface Container extends AsyncDisposable {
  readonly id: string;
  /** Of its first process, in Docker's own PID namespace. */
  pid(): Promise<number>;
  logs(): Promise<string>;
  /** Waits for its end; the exit status. */
  status(): Promise<number>;
}

export async function startContainer(
  options: readonly string[],
  args: readonly string[],
  of = image,
): Promise<Container> {
  const network = options.includes('--network') ? [] : ['--network', 'none'];
  const id = await dockerOk('run', '--detach', ...network, ...options, of, ...args);
  return {
    id,
    pid: async () => Number(await dockerOk('inspect', '--format', '{{.State.Pid}}', id)),
    logs: async () => {
      const { stdout, stderr } = await docker(['logs', id]);
      return stdout + stderr;
    },
    status: async () => Number(await dockerOk('wait', id)),
    async [Symbol.asyncDispose]() {
      await dockerOk('rm', '--force', '--volumes', id);
    },
  };
}

/**
 * A container whose network others can join (`--network container:ID`), where a TCP server starts to listen
 * on 127.0.0.1:5432 after so many milliseconds.
 */
export async function startListener(delay = 0, options: readonly string[] = []): Promise<Container> {
  const script = `setTimeout(() => require('net').createServer((s) => s.end()).listen(5432, '127.0.0.1', () => console.log('listening')), ${delay})`;
  const listener = await startContainer(
    ['--entrypoint', '/initbox/bin/node', ...options],
    ['-e', script],
    image,
  );
  if (delay === 0) await waitUntil(async () => (await listener.logs()).includes('listening'));
  return listener;
}

/** Asks every 20 ms until it is so, for at most 20 s. */
export async function waitUntil(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error('it did not come true within 20 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
