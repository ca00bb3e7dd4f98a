import type { CommandList } from '../kernel/command.ts';

/** Every command, loaded when it is named. Adding one is a folder beside this file and a line here. */
export const commands: CommandList = {
  'wait-tcp': async () => (await import('./wait-tcp/command.ts')).waitTcp,
  'wait-dns': async () => (await import('./wait-dns/command.ts')).waitDns,
  run: async () => (await import('./run/command.ts')).run,
  schema: async () => (await import('./schema/command.ts')).schema,
  install: async () => (await import('./install/command.ts')).install,
};
