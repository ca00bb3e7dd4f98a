import process from 'node:process';
import type { Writable } from 'node:stream';

/**
 * Puts plain writers in the place of Node's standard streams, made only when somebody asks for them. Node's own leave a
 * pipe non-blocking for whoever takes over, and closing any socket is enough to make it open them.
 */
export function replaceStandardStreams(write: (descriptor: 1 | 2, text: string) => void): void {
  for (const [name, descriptor] of [
    ['stdout', 1],
    ['stderr', 2],
  ] as const) {
    let stream: Writable | undefined;
    Object.defineProperty(process, name, {
      configurable: true,
      get: () =>
        (stream ??= new (process.getBuiltinModule('node:stream').Writable)({
          write(chunk: Buffer | string, _encoding, callback) {
            write(descriptor, chunk.toString());
            callback();
          },
        })),
    });
  }
}

/** Keeps from people what Node says of its experimental parts; other warnings are told as ever. */
export function muteExperimentalWarnings(): void {
  const listeners = process.listeners('warning');
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    if (warning.name !== 'ExperimentalWarning') for (const listener of listeners) listener(warning);
  });
}
