import { closeSync, mkdtempSync, openSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { Prune } from '../../../../src/commands/copy/prune.ts';

test('a source is not entered to be emptied, by whatever name it is met', () => {
  const [source, other] = ['source', 'other'].map((name) => mkdtempSync(join(tmpdir(), `initbox-${name}-`)));
  const descriptor = openSync(source as string, 'r');
  try {
    const prune = new Prune(descriptor, [], [descriptor], {
      dereference: false,
      dryRun: true,
      published: new Set<string>(),
      seen: [],
      mayRestart: true,
    });
    expect(() => prune.enter(statSync(source as string))).toThrow('it is a source itself');
    expect(() => prune.enter(statSync(other as string))).not.toThrow();
  } finally {
    closeSync(descriptor);
    for (const path of [source, other]) rmSync(path as string, { recursive: true });
  }
});
