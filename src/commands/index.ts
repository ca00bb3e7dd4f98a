import type { CommandList } from '../core/command.ts';

/** Every command, loaded when it is named. Adding one is a folder beside this file and a line here. */
export const commands: CommandList = {
  'wait-tcp': async () => (await import('./wait-tcp/command.ts')).waitTcp,
  'wait-dns': async () => (await import('./wait-dns/command.ts')).waitDns,
  'wait-http': async () => (await import('./wait-http/command.ts')).waitHttp,
  'wait-postgres': async () => (await import('./wait-postgres/command.ts')).waitPostgres,
  'migrate-with-lock': async () => (await import('./migrate-with-lock/command.ts')).migrateWithLock,
  'fetch-config': async () => (await import('./fetch-config/command.ts')).fetchConfig,
  render: async () => (await import('./render/command.ts')).render,
  chown: async () => (await import('./chown/command.ts')).chown,
  copy: async () => (await import('./copy/command.ts')).copy,
  run: async () => (await import('./run/command.ts')).run,
  schema: async () => (await import('./schema/command.ts')).schemaCommand,
  completion: async () => (await import('./completion/command.ts')).completion,
  install: async () => (await import('./install/command.ts')).install,
};
