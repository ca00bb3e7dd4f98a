import { afterAll, beforeAll, expect, test } from 'vitest';

import { Project } from './compose.ts';

const project = new Project();

beforeAll(async () => {
  await project.up('postgres', 'orders').catch(async (error: Error) => {
    throw new Error(`${error.message}\n${await project.logs()}`);
  });
});
afterAll(() => project.down());

test('of three replicas one migrated, and all went on', async () => {
  const replicas = await Promise.all([1, 2, 3].map((number) => project.ended(`migrate-${number}`)));
  expect(replicas.map(({ status }) => status)).toEqual([0, 0, 0]);
  const logs = replicas.map((replica) => replica.logs);
  expect(logs.filter((log) => log.includes('the command is done'))).toHaveLength(1);
  expect(logs.filter((log) => log.includes('nothing to do: "1.42.0" was done by'))).toHaveLength(2);
});

test('what they migrated is there once', async () => {
  expect(await project.ended('orders')).toMatchObject({ status: 0, logs: '1 order\n' });
});
