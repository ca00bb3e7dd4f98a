/**
 * What initbox is for, on this machine and without Docker: a Postgres that is started late, and a command that takes
 * over the moment it listens.
 */
import { spawn } from 'node:child_process';
import { freePort } from '../test/support/ports.ts';
import { preparePostgres } from '../test/support/postgres.ts';
import { programCommand } from '../test/support/program.ts';

const late = 4_000;

await using postgres = await preparePostgres({ port: await freePort() });
const target = `${postgres.host}:${postgres.port}`;
const words = [
  'wait-tcp',
  target,
  '--timeout',
  '1m',
  '--',
  '/bin/echo',
  'the application starts: its database listens',
];
console.log(`$ initbox ${words.join(' ')}\n(a Postgres will listen on ${target} in ${late / 1_000} s)\n`);

const [file = '', ...args] = [...programCommand(), ...words];
const waiting = spawn(file, args, { stdio: 'inherit' });
const ended = new Promise<number>((resolve, reject) => {
  waiting.once('error', reject);
  waiting.once('exit', (status) => resolve(status ?? 1));
});
await new Promise((resolve) => setTimeout(resolve, late));
await postgres.start();
const status = await ended;
console.log(`\nexit status ${status}`);
if (status !== 0) throw new Error('the demo failed');
