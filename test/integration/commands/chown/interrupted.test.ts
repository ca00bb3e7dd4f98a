import { readFileSync, statSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { groupGone, liveDescendants, waitUntil, underStrace } from '../../../support/faults.ts';
import {
  type RunningProgram,
  runToDeadline,
  startInitbox,
  terminationLog,
} from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { chown, memoryFolder, noStrace, notRoot, ownerOf, owners, wideTree } from './support.ts';

const [folders, files] = [300, 300];
const all = folders * (files + 1) + 1;

/** A walk that has changed some, and has much left. */
async function underWay(args: readonly string[], top: string): Promise<RunningProgram> {
  const running = await startInitbox(['chown', ...args]);
  await waitUntil(() => statSync(top).uid === 65_535, { interval: 1, what: 'the walk to begin' });
  await new Promise((resolve) => setTimeout(resolve, 60));
  return running;
}

describe.skipIf(notRoot)('an interrupted run', () => {
  test('SIGTERM: ends at once, says how far it got, and a rerun does the rest', async () => {
    const top = wideTree(memoryFolder(), folders, files);
    const log = terminationLog();
    const running = await underWay(['1000:1000', top, '--termination-log', log.path], top);
    running.kill('SIGTERM');
    const { status, stderr } = await within(promptly, running.exit);
    expect(status).toBe(143);
    expect(stderr).toMatch(
      /ended by SIGTERM; \S+: stopped after [\d,]+ entr(?:y|ies), [\d,]+ changed to 1000:1000/,
    );
    expect(log.read()).toContain('stopped after');
    await groupGone(running.pid);
    const counts = owners(top);
    expect(counts['65535:65535']).toBe(1);
    expect(counts['0:0']).toBeGreaterThan(0);
    const said = Number(/([\d,]+) changed/.exec(stderr)?.[1]?.replaceAll(',', ''));
    // A helper may have been stopped between its last word and its last change.
    expect(said).toBeLessThanOrEqual(counts['1000:1000'] ?? 0);
    expect(said).toBeGreaterThan(0);

    const rerun = await chown(['1000:1000', top, '--policy', 'root-mismatch']);
    expect(rerun.status).toBe(0);
    expect(owners(top)).toEqual({ '1000:1000': all });
  });

  test('SIGTERM in one process and one directory: no helper is there to share it with', async () => {
    const top = wideTree(memoryFolder(), 1, 80_000);
    const alone = ['setpriv', '--inh-caps=-all', '--bounding-set=-all,+chown', '--'];
    const running = await startInitbox(['chown', '1000:1000', top], { prefix: alone });
    // Without DAC_OVERRIDE the owner of the top stays root, which must be able to enter it.
    await waitUntil(() => statSync(top).gid === 65_535, { interval: 1, what: 'the walk to begin' });
    running.kill('SIGTERM');
    const { status, stderr } = await within(promptly, running.exit);
    expect(status).toBe(143);
    expect(stderr).toMatch(/stopped after [\d,]+ entr(?:y|ies), [\d,]+ changed to 1000:1000/);
    const counts = owners(top);
    expect(counts['0:0']).toBeGreaterThan(1);
    expect(counts['1000:1000']).toBeGreaterThan(0);
    expect(ownerOf(top)).toBe('0:65535');
    expect((await chown(['1000:1000', top, '--policy', 'root-mismatch'], { prefix: alone })).status).toBe(0);
    expect(owners(top)).toEqual({ '1000:1000': 80_002 });
  });

  test('1000, then 2000 cut off, then 1000 again: the top is never trusted', async () => {
    const top = wideTree(memoryFolder(), folders, files);
    const policy = ['--policy', 'root-mismatch'];
    expect((await chown(['1000:1000', top, ...policy])).status).toBe(0);
    const running = await underWay(['2000:2000', top, ...policy], top);
    running.kill('SIGKILL');
    await running.exit;
    expect(Object.keys(owners(top)).toSorted()).toEqual(['1000:1000', '2000:2000', '65535:65535']);
    const back = await chown(['1000:1000', top, ...policy]);
    expect(back.status).toBe(0);
    expect(back.stderr).not.toContain('was not looked at');
    expect(owners(top)).toEqual({ '1000:1000': all });
    const trusted = await chown(['1000:1000', top, ...policy]);
    expect(trusted.stderr).toContain('was not looked at');
  });

  test('the group alone: the owner is never lost', async () => {
    const top = wideTree(memoryFolder(), folders, files);
    await chown(['1000:1000', top]);
    const running = await startInitbox(['chown', ':2000', top]);
    await waitUntil(() => statSync(top).gid === 65_535, { interval: 1, what: 'the walk to begin' });
    running.kill('SIGKILL');
    await running.exit;
    expect(ownerOf(top)).toBe('1000:65535');
    expect((await chown([':2000', top, '--policy', 'root-mismatch'])).status).toBe(0);
    expect(owners(top)).toEqual({ '1000:2000': all });
  });

  test('--from: a marked top is finished by the next run', async () => {
    const top = wideTree(memoryFolder(), folders, files);
    const running = await underWay(['1000:1000', top, '--from', '0:0'], top);
    running.kill('SIGKILL');
    await running.exit;
    expect((await chown(['1000:1000', top, '--from', '0:0'])).status).toBe(0);
    expect(owners(top)).toEqual({ '1000:1000': all });
  });

  test('kill -9: the helper ends too, and the rerun does the rest', async () => {
    const top = wideTree(memoryFolder(), folders, files);
    const running = await underWay(['1000:1000', top], top);
    running.kill('SIGKILL');
    await running.exit;
    await groupGone(running.pid, 2_000);
    const before = owners(top);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(owners(top)).toEqual(before);
    expect((await chown(['1000:1000', top])).status).toBe(0);
    expect(owners(top)).toEqual({ '1000:1000': all });
  });

  test.skipIf(noStrace)(
    'a helper that is killed: exit 1, the top is not set, the rerun does the rest',
    async () => {
      const top = wideTree(memoryFolder(), folders, files);
      // Not the calls on entries: where those are slow, one process has many under way, and no helper.
      const slow = underStrace('trace=chdir', 'inject=chdir:delay_enter=3000').toSpliced(
        1,
        0,
        '--seccomp-bpf',
      );
      const running = await startInitbox(['chown', '1000:1000', top], { prefix: slow });
      const helper = await waitUntil(
        () =>
          liveDescendants(running.pid).find(({ pid }) => {
            try {
              return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('chown-helper');
            } catch {
              return false;
            }
          }),
        { what: 'the helper' },
      );
      await new Promise((resolve) => setTimeout(resolve, 1500));
      process.kill(helper.pid, 'SIGKILL');
      const { status, stderr } = await running.exit;
      expect(stderr).toContain('a helper process was ended from outside');
      expect(stderr).toContain('OOMKilled');
      expect(status).toBe(1);
      expect(ownerOf(top)).toBe('65535:65535');
      expect((await chown(['1000:1000', top])).status).toBe(0);
      expect(owners(top)).toEqual({ '1000:1000': all });
    },
  );

  test('the deadline: exit 124, and how far it got', async () => {
    const top = wideTree(memoryFolder(), folders, files);
    const { status, stderr } = await runToDeadline(['chown', '1000:1000', top, '--timeout', '150ms'], {
      answered: (said) => /stopped after [1-9]/.test(said),
    });
    expect(status).toBe(124);
    expect(stderr).toMatch(/gave up after \S+ \(--timeout\); \S+: stopped after [\d,]+ entr/);
    expect(ownerOf(top)).toBe('65535:65535');
  });
});
