import type { CommandList } from '../core/command.ts';
import { waitDns } from './wait-dns/command.ts';
import { waitTcp } from './wait-tcp/command.ts';

/**
 * Every command. Adding one is a folder beside this file and a line here, which loads it when it is named; the two that
 * most pods run come with the program, so that no other file need be opened.
 */
export const commands: CommandList = {
  wait: async () => (await import('./wait/command.ts')).wait,
  'wait-tcp': async () => waitTcp,
  'wait-dns': async () => waitDns,
  'wait-http': async () => (await import('./wait-http/command.ts')).waitHttp,
  'wait-postgres': async () => (await import('./wait-postgres/command.ts')).waitPostgres,
  'wait-kubernetes': async () => (await import('./wait-kubernetes/command.ts')).waitKubernetes,
  'migrate-with-lock': async () => (await import('./migrate-with-lock/command.ts')).migrateWithLock,
  'create-database': async () => (await import('./create-database/command.ts')).createDatabase,
  'fetch-config': async () => (await import('./fetch-config/command.ts')).fetchConfig,
  render: async () => (await import('./render/command.ts')).render,
  certificate: async () => (await import('./certificate/command.ts')).certificate,
  trust: async () => (await import('./trust/command.ts')).trust,
  chown: async () => (await import('./chown/command.ts')).chown,
  copy: async () => (await import('./copy/command.ts')).copy,
  files: async () => (await import('./files/command.ts')).files,
  sysctl: async () => (await import('./sysctl/command.ts')).sysctl,
  run: async () => (await import('./run/command.ts')).run,
  schema: async () => (await import('./schema/command.ts')).schemaCommand,
  completion: async () => (await import('./completion/command.ts')).completion,
  install: async () => (await import('./install/command.ts')).install,
};
