import { afterAll, beforeAll, expect, test } from 'vitest';

import { Project } from './compose.ts';

const project = new Project();

beforeAll(async () => {
  await project.up().catch(async (error: Error) => {
    throw new Error(`${error.message}\n${await project.logs()}`);
  });
});
afterAll(() => project.down());

test('wait-tcp saw Postgres come up', async () => {
  const { status, logs } = await project.ended('wait-tcp');
  expect({ status, logs }).toMatchObject({
    status: 0,
    logs: expect.stringContaining('postgres:5432') as string,
  });
  // It was there first and had to wait, or this shows nothing.
  expect(logs).toMatch(/0\/1 ready/);
});

test('wait-dns resolved the service’s name', async () => {
  const { status, logs } = await project.ended('wait-dns');
  expect({ status, logs }).toMatchObject({ status: 0, logs: expect.stringContaining('postgres') as string });
});

test('the client started after both and worked at the first try', async () => {
  const client = await project.ended('client');
  expect(client).toMatchObject({ status: 0, logs: 'connected to app\n' });
  for (const service of ['wait-tcp', 'wait-dns']) {
    const { finishedAt } = await project.ended(service);
    expect(Date.parse(client.startedAt)).toBeGreaterThanOrEqual(Date.parse(finishedAt));
  }
});
