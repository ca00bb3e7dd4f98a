import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startAnswers } from './answers.ts';
import { startDatabase } from './database.ts';
import { runs, type Run } from './runs.ts';

/**
 * Runs the program as pods do and keeps the code that V8 makes of its files beside them, for later starts.
 * @param entry the program's entry, whose folder is written to; it is run by the Node that runs this
 * @throws Error where a run ends otherwise than it should
 */
export async function warm(entry: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'initbox-warm-'));
  const answers = await startAnswers();
  const database = await startDatabase(() => [['?column?', 'integer', '1']]);
  try {
    mkdirSync(join(folder, 'tree'));
    mkdirSync(join(folder, 'copied'));
    mkdirSync(join(folder, 'tls'));
    writeFileSync(join(folder, 'tree', 'template'), 'text\n');
    const servers = { web: answers.port, database: database.port };
    for (const run of runs(servers, folder)) await carryOut(entry, run);
  } finally {
    answers.server.close();
    database.server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One run, with the environment that it names alone. */
async function carryOut(entry: string, { words, environment = {}, status, whole, more }: Run): Promise<void> {
  const recorder = join(import.meta.dirname, 'record.cjs');
  const running = spawn(process.execPath, ['--require', recorder, entry, ...words], {
    env: {
      PATH: process.env['PATH'],
      ...environment,
      ...(whole ? { INITBOX_WARM_WHOLE: '' } : {}),
      ...(more ? { INITBOX_WARM_MORE: '' } : {}),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  running.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const ended = await new Promise<number | null>((resolve, reject) => {
    running.once('error', reject);
    running.once('close', resolve);
  });
  if (ended !== status)
    throw new Error(`${words.join(' ')} ended with ${ended} where ${status} was expected:\n${said}`);
}
