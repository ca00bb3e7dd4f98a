import { execFileSync } from 'node:child_process';
import { beforeAll, expect, test } from 'vitest';
import { runInitbox } from '../support/program.ts';

let script = '';
beforeAll(async () => {
  const { status, stdout, stderr } = await runInitbox(['completion']);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  script = stdout;
});

/** What bash offers for the last of these words. */
function offered(...words: string[]): string[] {
  const ask = 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _initbox; printf "%s\\n" "${COMPREPLY[@]}"';
  const out = execFileSync('bash', ['-uc', `${script}\n${ask}`, 'bash', 'initbox', ...words], {
    encoding: 'utf8',
  });
  return out.split('\n').filter((line) => line !== '');
}

test('commands', () => {
  expect(offered('wait-')).toEqual(['wait-tcp', 'wait-dns', 'wait-http', 'wait-postgres']);
  expect(offered('help', 'exit')).toEqual(['exit-codes']);
});

test('flags of the command, and of it alone', () => {
  expect(offered('wait-tcp', 'db:5432', '--in')).toEqual(['--interval', '--invert']);
  expect(offered('wait-dns', '--ser')).toEqual(['--service', '--server']);
  expect(offered('chown', '--no-rec')).toEqual(['--no-recursive']);
});

test('values of a flag that takes a choice', () => {
  expect(offered('wait-tcp', '--log-format', '')).toEqual(['text', 'json']);
  expect(offered('wait-dns', '--type', 'A')).toEqual(['A', 'AAAA']);
});

test('nothing of the command after --', () => {
  expect(offered('wait-tcp', 'db:5432', '--', './server', '--in')).toEqual([]);
});
