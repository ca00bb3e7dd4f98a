import { afterAll, beforeAll, expect, test } from 'vitest';

import { Project } from './compose.ts';

const project = new Project();

beforeAll(async () => {
  await project.up('app').catch(async (error: Error) => {
    throw new Error(`${error.message}\n${await project.logs()}`);
  });
});
afterAll(() => project.down());

test.each(['fetch-vault', 'fetch-aws'])(
  '%s wrote one file and told nobody what is in it',
  async (service) => {
    const { status, logs } = await project.ended(service);
    expect({ status, logs }).toMatchObject({
      status: 0,
      logs: expect.stringContaining('1 file written') as string,
    });
    expect(logs).not.toMatch(/listen|from AWS/);
  },
);

test('the app reads both, by the group that it shares, from files that nobody writes', async () => {
  const { status, logs } = await project.ended('app');
  expect(status).toBe(0);
  expect(logs).toContain('-r--r-----\n-r--r-----\n');
  expect(logs).toContain('listen = 8080');
  expect(logs).toMatch(/password=("|')?from AWS/);
  expect(logs).toMatch(/port=("|')?5432/);
});
