import { describe, expect, test } from 'vitest';

import { expandReferences } from '../../../../src/commands/run/expand.ts';
import { depths } from '../../../../src/commands/run/graph.ts';
import { read } from './read.ts';

describe('a plan', () => {
  test('may be JSON', async () => {
    const { steps } = await read('{"steps":[{"name":"a","command":["echo","hi"],"timeout":90}]}');
    expect(steps[0]).toMatchObject({
      name: 'a',
      limit: 90_000,
      work: { kind: 'any', command: ['echo', 'hi'] },
    });
  });

  test('values are taken as they were written: 1.10, 0o17 and 1:30 are no numbers of YAML’s', async () => {
    const { steps } = await read(
      'steps:\n  - { name: a, command: [x, 1.10, 0o17, 1:30, 1e3, "007", true, False] }\n',
    );
    expect(steps[0]?.work).toMatchObject({
      command: ['x', '1.10', '0o17', '1:30', '1e3', '007', 'true', 'False'],
    });
  });

  test('anchors and aliases are taken', async () => {
    const { steps } = await read(
      'steps:\n  - { name: a, command: [x], needs: &first [] }\n  - { name: b, command: &c [y, z] }\n  - { name: d, command: *c }\n',
    );
    expect(steps[2]?.work).toMatchObject({ command: ['y', 'z'] });
  });

  test('a step’s time: its own, its command’s, an hour for any command', async () => {
    const { steps } = await read(
      'steps:\n  - { name: a, uses: wait-tcp, targets: x:1 }\n  - { name: b, command: [x] }\n  - { name: c, command: [x], timeout: 0 }\n  - { name: d, uses: migrate-with-lock, sql: /m }\n',
    );
    expect(steps.map(({ limit }) => limit)).toEqual([300_000, 3_600_000, 0, 0]);
  });

  test('variables do not stand in for keys', async () => {
    const { steps } = await read('steps:\n  - { name: a, uses: wait-tcp, targets: x:1 }\n', {
      environment: { INITBOX_TIMEOUT: '1s', INITBOX_STABLE_FOR: 'never', INITBOX_RETRIES: '7' },
    });
    expect(steps[0]).toMatchObject({ limit: 300_000, retries: 0 });
  });

  test('200 steps, each needing all before it, are read', async () => {
    const names = Array.from({ length: 200 }, (_, index) => `s${index}`);
    const text = names.map(
      (name, index) => `  - { name: ${name}, command: [x], needs: [${names.slice(0, index).join(', ')}] }\n`,
    );
    const { steps } = await read(`steps:\n${text.join('')}`);
    expect(depths(steps).get('s199')).toBe(199);
  });
});

describe('$(NAME)', () => {
  test.each([
    ['$(A)', 'one'],
    ['x-$(A)-$(B)', 'x-one-two'],
    ['$$(A)', '$(A)'],
    ['$(NOT_SET)', '$(NOT_SET)'],
    ['$(date +%s)', '$(date +%s)'],
    ['$A ${A} $$ $$$', '$A ${A} $$ $$$'],
    ['$(E)', ''],
  ])('%s is %s', (text, expected) => {
    expect(expandReferences(text, { A: 'one', B: 'two', E: '' })).toBe(expected);
  });

  test('what a variable holds is not expanded again', () => {
    expect(expandReferences('$(A)', { A: '$(B)', B: 'x' })).toBe('$(B)');
  });
});
