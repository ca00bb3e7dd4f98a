// Killed at any time, 300 times, while an app reads what is rendered.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { runInitbox, startInitbox } from '../../../support/program.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { leftovers } from '../../fs/publish/drive.ts';
import { lines, startReader, text } from '../../fs/publish/watch.ts';

const kills = 300;
const names = ['a', 'b', 'c'];

test(
  `killed ${kills} times: a reader sees whole files of one version, and the next run ends right`,
  { timeout: 600_000 },
  async () => {
    const work = temporaryDirectory('render-kill');
    const [from, to] = [join(work.path, 'templates'), join(work.path, 'out')];
    mkdirSync(from);
    mkdirSync(to);
    for (const name of names) writeFileSync(join(from, name), '$LINE\n'.repeat(lines));
    const args = ['render', from, '--to', to, '--mode', '0440'];
    const settings = (version: number) => ({ env: { LINE: text(version).trimEnd() } });
    const first = await runInitbox(args, settings(0));
    expect(first.status, first.stderr).toBe(0);
    const reader = startReader(to, names);
    let whole = 0;
    let usual = first.milliseconds;
    for (let version = 1; version <= kills; version++) {
      const running = await startInitbox(args, settings(version));
      // From before it writes to just after its end.
      const delay = usual * (0.4 + 0.7 * Math.random());
      await new Promise((resolve) => setTimeout(resolve, delay));
      running.child.kill('SIGKILL');
      if ((await running.exit).status === 0) whole++;
      if (version % 10 !== 0) continue;
      const again = await runInitbox(args, settings(version));
      expect(again.status, again.stderr).toBe(0);
      usual = again.milliseconds;
      expect(leftovers(to)).toEqual([]);
      for (const name of names)
        expect(readFileSync(join(to, name), 'utf8')).toBe(text(version).repeat(lines));
    }
    const seen = await reader.end();
    expect(seen.problems).toEqual([]);
    expect(seen.versions).toBeGreaterThan(kills / 10);
    console.log(
      `${kills - whole} of ${kills} killed before their end; ${seen.reads} reads, ${seen.versions} versions seen`,
    );
    expect(kills - whole).toBeGreaterThan(kills / 3);
    work.remove();
  },
);
