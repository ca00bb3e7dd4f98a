import { afterAll, beforeAll, expect, test } from 'vitest';

import { Project } from './compose.ts';

const project = new Project();

beforeAll(async () => {
  await project.up('writer').catch(async (error: Error) => {
    throw new Error(`${error.message}\n${await project.logs()}`);
  });
});
afterAll(() => project.down());

test('a root init service gives the volume away, and the application writes to it as another user', async () => {
  const owner = await project.ended('chown');
  expect(owner).toMatchObject({
    status: 0,
    logs: expect.stringContaining('/data: 1 entry, 1 changed to 1000:1000') as string,
  });
  const writer = await project.ended('writer');
  expect(writer).toMatchObject({ status: 0, logs: 'written by 1000\n' });
  expect(Date.parse(writer.startedAt)).toBeGreaterThanOrEqual(Date.parse(owner.finishedAt));
});
