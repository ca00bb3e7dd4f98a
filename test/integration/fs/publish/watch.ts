// An app that looks at a target all the time, and texts by which it can tell versions and halves.
import { spawn } from 'node:child_process';
import { join } from 'node:path';

import { nodePath } from '../../../support/tools.ts';

const versionLine = 24;
/** How often the line stands in a file: more than one write(2) of a careless program would take. */
export const lines = 100;

/** One line of a version's text. */
export function text(version: number): string {
  return `${`version ${version} `.padEnd(versionLine - 1, '.')}\n`;
}

export interface Reader {
  end(): Promise<{ problems: string[]; reads: number; wholeSets: number; versions: number }>;
}

/** Starts reader.ts; what it finds comes at its end. */
export function startReader(folder: string, names: readonly string[]): Reader {
  const script = join(import.meta.dirname, 'reader.ts');
  const child = spawn(nodePath(), [script, folder, names.join(','), `${versionLine * lines}`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    async end() {
      child.stdin.end();
      await closed;
      return JSON.parse(output) as Awaited<ReturnType<Reader['end']>>;
    },
  };
}
