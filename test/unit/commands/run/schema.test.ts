import { Ajv } from 'ajv';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { commands } from '../../../../src/commands/index.ts';
import { aboutStep, keysOf } from '../../../../src/commands/run/keys.ts';
import { planSchema } from '../../../../src/commands/run/schema.ts';
import type { AnyCommand } from '../../../../src/core/command.ts';
import { flagName } from '../../../../src/core/options/option.ts';
import { read } from './read.ts';

let schema: object;
let steps: AnyCommand[];
beforeAll(async () => {
  schema = await planSchema(commands);
  steps = (await Promise.all(Object.values(commands).map((load) => load()))).filter(
    ({ step }) => step !== false,
  );
});

test('it is a JSON Schema, by a strict reader', () => {
  const ajv = new Ajv({ strict: true, allowUnionTypes: true, strictTypes: false, strictRequired: false });
  expect(ajv.validateSchema(schema)).toBe(true);
  expect(() => ajv.compile(schema)).not.toThrow();
});

test('every command that works on a pod is a step; every option is a key, every positional too', () => {
  expect(steps.map(({ name }) => name).toSorted()).toEqual(
    Object.keys(commands)
      .filter((name) => !['run', 'schema', 'completion'].includes(name))
      .toSorted(),
  );
  for (const command of steps) {
    const keys = keysOf(command);
    for (const [name, option] of Object.entries(command.options))
      expect(keys.has(flagName(name, option as never)), `${command.name}: ${name}`).toBe(true);
    if (command.positionals !== undefined)
      expect(
        [...keys.values()].filter(({ kind }) => kind === 'positional').length,
        command.name,
      ).toBeGreaterThan(0);
  }
});

test('no option of a command has the name of a key that is about the step', () => {
  for (const command of steps) {
    const own = Object.entries(command.options).map(([name, option]) => flagName(name, option as never));
    const words = (command.positionals?.keys ?? []).map(({ key }) => key);
    const all = [...own, ...words, ...(command.positionals?.keys ? [] : [command.positionals?.name ?? ''])];
    for (const reserved of ['name', 'uses', 'command', 'when', ...Object.keys(aboutStep)])
      expect(all, `${command.name}: ${reserved}`).not.toContain(reserved);
    expect(new Set(all).size, command.name).toBe(all.length);
  }
});

describe('the schema and the reader agree', () => {
  const good = `keep-going: false
steps:
  - name: database
    uses: wait-tcp
    targets: [db:5432, cache:6379]
    timeout: 2m
    successes: 2
    any: true
  - name: names
    uses: wait-dns
    names: db.default.svc.cluster.local
    type: [A, AAAA]
    timeout: 30
  - name: config
    uses: fetch-config
    sources: vault:secret/app
    to: /config/app.env
    format: dotenv
    vault-role: app
    retries: 2
  - name: owner
    uses: chown
    owner: 1000:1000
    paths: [/data]
    policy: root-mismatch
    needs: config
    when: CHOWN
  - name: migrate
    uses: migrate-with-lock
    command: [./migrate, --target=latest, 3]
    once: 1.10
    needs: [database, names]
    user: 1000:1000
  - name: notify
    command: [./notify]
    grace: 5s
    timeout: 1m
`;
  test('on what is right', async () => {
    expect(new Ajv({ strict: false }).validate(schema, parse(good))).toBe(true);
    expect((await read(good)).steps).toHaveLength(6);
  });

  const mutants: string[] = [];
  for (const line of good.split('\n').filter(Boolean)) {
    const key = /^(?: {2}- | {4})?([a-z-]+):/.exec(line)?.[1];
    if (key === undefined || key === 'steps') continue;
    for (const value of ['{ x: 1 }', '[[x]]', 'null', 'true'])
      mutants.push(good.replace(line, `${line.slice(0, line.indexOf(':'))}: ${value}`));
    mutants.push(good.replace(line, line.replace(`${key}:`, `${key}-x:`)));
    mutants.push(
      line.startsWith('  - ') ? good.replace(`${line}\n    `, '  - ') : good.replace(`${line}\n`, ''),
    );
  }

  test(`on ${mutants.length} plans with one line changed: what the schema refuses is refused, with a place`, async () => {
    const validate = new Ajv({ strict: false }).compile(schema);
    let refused = 0;
    for (const mutant of mutants) {
      const message = await read(mutant).then(
        () => '',
        (error: unknown) => (error as Error).message,
      );
      // Where the schema finds nothing, the reader's own words for a wrong shape would have to do.
      expect(message, mutant).not.toMatch(/the value is of the wrong kind/);
      if (validate(parse(mutant))) continue;
      refused += 1;
      expect(message, mutant).toMatch(/plan\.yaml:\d+:\d+: /);
    }
    expect(refused).toBeGreaterThan(100);
  }, 300_000);
});

test.each([
  ['uses: wait-http, urls: "http://a/", method: get', true],
  ['uses: wait-dns, names: [a], type: [srv]', true],
  ['uses: wait-tcp, targets: "a:1", retries: 1001', false],
  ['uses: wait-tcp, targets: "a:1", successes: 0', false],
  ['uses: wait-tcp, targets: "a:1", successes: 1.5', false],
  ['uses: copy, destination: /b', false],
  ['uses: chown, paths: /d, reference: /e', true],
])('a step with %s: the schema and run say the same, %s', async (keys, right) => {
  const text = `steps: [{ name: a, ${keys} }]`;
  const validate = new Ajv({ strict: false }).compile(schema);
  expect(validate(parse(text))).toBe(right);
  const accepted = await read(text).then(
    () => true,
    () => false,
  );
  expect(accepted).toBe(right);
});
