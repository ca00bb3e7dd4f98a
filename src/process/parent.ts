import process from 'node:process';

import type { Parent } from '../core/host.ts';

/** In a helper: the channel to the process that started it. */
export function parentOfHelper(): Parent {
  // The terminal's Ctrl+C reaches the whole group; the parent decides when a helper ends.
  process.on('SIGINT', () => {});
  // As the program itself, which ignores it (scripts/bundle/entry.cjs).
  process.on('SIGUSR1', () => {});
  return {
    send: (message) => void process.send?.(message, () => {}),
    onMessage: (listener) => void process.on('message', listener as (message: unknown) => void),
    onEnd: (listener) => void process.once('disconnect', listener),
  };
}

/** The channel to the process of this program that started this one. */
export interface ParentChannel {
  /** The first message. */
  readonly request: Promise<unknown>;
  /** Resolves when it has been handed over. */
  send(message: object): Promise<void>;
}

/**
 * @param onGone called when the parent is gone
 * @returns undefined where the process was not started with a channel
 */
export function openParentChannel(onGone: () => void): ParentChannel | undefined {
  if (!process.connected) return undefined;
  process.on('disconnect', onGone);
  return {
    request: new Promise((resolve) => void process.once('message', resolve)),
    send: (message) =>
      new Promise((resolve) => {
        if (process.send === undefined) resolve();
        else process.send(message, undefined, undefined, () => resolve());
      }),
  };
}
