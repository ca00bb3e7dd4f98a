import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { pythonPackage } from '../../test/support/python-packages.ts';
import type { Plot } from './report.ts';

/** Draws plots as SVG by matplotlib, which is installed on first use. */
export async function plotFiles(plots: readonly Plot[], fileOf: (index: number) => string): Promise<void> {
  if (plots.length === 0) return;
  const { python, folder } = await pythonPackage('matplotlib==3.11.2');
  const drawing = promisify(execFile)(python, [join(import.meta.dirname, 'plot.py')], {
    env: { ...process.env, PYTHONPATH: folder },
  });
  drawing.child.stdin?.end(JSON.stringify(plots.map((plot, index) => ({ ...plot, file: fileOf(index) }))));
  await drawing;
}
