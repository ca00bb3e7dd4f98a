import { describe, expect, test } from 'vitest';

import { createRedactor } from '../../../src/core/redaction/redactor.ts';
import type { BlockLine } from '../../../src/core/terminal.ts';
import { createBlockTerminal } from '../../../src/process/terminal-block.ts';
import { ScreenEmulator } from '../../support/terminal.ts';
import { FakeClock } from '../fake-clock.ts';

const waiting = (name: string, words: string): BlockLine => ({ state: 'waiting', name, words });

/** A terminal of the test's own, and a block on it with lines that the test sets. */
function setUp({ columns = 40, rows = 10, coloured = false, lines = [waiting('db', 'refused')] } = {}) {
  const clock = new FakeClock();
  const emulator = new ScreenEmulator(columns);
  const redactor = createRedactor();
  const state = { columns, rows, lines, taken: true, ours: true, gaveUp: 0 };
  const writes: string[] = [];
  let onResize = (): void => {};
  let onContinue = (): void => {};
  const terminal = createBlockTerminal(
    {
      write(text) {
        writes.push(text);
        // As the kernel does it (ONLCR).
        emulator.write(text.replaceAll('\n', '\r\n'));
      },
      taken: () => state.taken,
      size: () => ({ columns: state.columns, rows: state.rows }),
      isOurs: () => state.ours,
      onResize(listener) {
        onResize = listener;
        return () => (onResize = () => {});
      },
      onContinue(listener) {
        onContinue = listener;
        return () => (onContinue = () => {});
      },
    },
    { clock, redact: redactor.redact, coloured },
  );
  const begin = () =>
    terminal.begin(
      () => state.lines,
      () => state.gaveUp++,
    );
  return {
    clock,
    emulator,
    redactor,
    state,
    writes,
    terminal,
    begin,
    block: () => begin() ?? expect.fail('it does not fit'),
    resize(width: number, height = state.rows) {
      state.columns = width;
      state.rows = height;
      emulator.columns = width;
      onResize();
    },
    goOn: () => onContinue(),
  };
}

describe('drawing', () => {
  test('in place, with nothing left of a longer line, and the cursor on the line below', async () => {
    const { block, clock, emulator, state } = setUp({
      lines: [waiting('db', 'refused'), waiting('cache', 'a long reason')],
    });
    const drawn = block();
    await clock.advance(200);
    expect(emulator.text()).toBe('… db refused\n… cache a long reason\n');
    expect(emulator.cursor).toEqual([2, 0]);
    state.lines = [waiting('db', 'no'), { state: 'satisfied', name: 'cache', words: 'ok' }];
    drawn.changed();
    await clock.advance(200);
    expect(emulator.text()).toBe('… db no\n✔ cache ok\n');
    state.lines = [{ state: 'never', name: 'db', words: 'x' }, state.lines[1] as BlockLine];
    drawn.stop();
    expect(emulator.text()).toBe('✘ db x\n✔ cache ok\n');
    expect(clock.pending).toBe(0);
  });

  test('at most eight times a second, however much changes, and once a second by itself', async () => {
    const { block, clock, state, writes } = setUp();
    const drawn = block();
    for (let change = 0; change < 1000; change++) {
      state.lines = [waiting('db', `reason ${change}`)];
      drawn.changed();
      await clock.advance(1);
    }
    expect(writes.length).toBeGreaterThan(5);
    expect(writes.length).toBeLessThanOrEqual(8);
    await clock.advance(1000);
    writes.length = 0;
    let second = 0;
    Object.defineProperty(state, 'lines', { get: () => [waiting('db', `${second++}`)] });
    await clock.advance(5000);
    expect(writes.length).toBeLessThanOrEqual(5);
    expect(writes.length).toBeGreaterThanOrEqual(4);
  });

  test('not where nothing changed, and not what was over at once, unless it is several things', async () => {
    const one = setUp();
    const drawn = one.block();
    await one.clock.advance(5000);
    expect(one.writes).toHaveLength(1);
    drawn.stop();
    const quick = setUp();
    quick.block().stop();
    expect(quick.writes).toEqual([]);
    const several = setUp({ lines: [waiting('a', 'x'), waiting('b', 'x')] });
    several.block().stop();
    expect(several.emulator.text()).toBe('… a x\n… b x\n');
  });

  test('with colours, where they are wanted', async () => {
    const { block, clock, writes } = setUp({ coloured: true, lines: [waiting('db', 'x')] });
    block();
    await clock.advance(200);
    expect(writes.join('')).toContain('\u001b[33m…\u001b[m db x');
    const plain = setUp();
    plain.block();
    await plain.clock.advance(200);
    expect(plain.writes.join('')).not.toContain('\u001b[3');
  });
});

describe('a line', () => {
  async function shown(line: BlockLine, columns = 40, secret?: string): Promise<string> {
    const { block, clock, emulator, redactor } = setUp({ columns, lines: [line] });
    if (secret !== undefined) redactor.secret(secret);
    block();
    await clock.advance(1500);
    expect(emulator.cursor).toEqual([1, 0]);
    return emulator.text().trimEnd();
  }

  test('is cut to the width of the terminal', async () => {
    expect(await shown(waiting('db', 'x'.repeat(1000)))).toMatch(/^… db x{20,}…$/);
    expect(await shown(waiting('db', 'x'.repeat(15)), 20)).toMatch(/^… db x+…$/);
  });

  test('whose name is long has its words as well', async () => {
    expect(await shown(waiting('n'.repeat(1000), 'refused'))).toMatch(/^… n{10,}… refused$/);
  });

  test.each([
    '漢字'.repeat(40),
    '한글'.repeat(40),
    '🎉'.repeat(40),
    'e\u0301'.repeat(60),
    '①'.repeat(60),
    'ﬁ⚠️'.repeat(60),
  ])('of wide characters does not wrap: %s', async (words) => {
    expect(await shown(waiting('db', words))).toMatch(/^… db .+…$/);
    expect(await shown(waiting(words, 'refused'))).toMatch(/… refused$/);
  });

  test('of a hostile server drives no terminal', async () => {
    const hostile =
      '\u001b[2J\u001b[1;1H\u001b]0;title\u0007\r\n\t\u009b31m\u202egnp.exe\u2028forged\b\b\u007f';
    expect(await shown(waiting('db', hostile), 200)).toMatch(
      /^… db \\u001b\[2J.*\\u0007.*\\u009b31m\\u202egnp/,
    );
    expect(await shown(waiting(`${hostile}db`, 'x'), 400)).toMatch(/^… \\u001b\[2J/);
  });

  test('shows no secret, not even one that reaches from the name into the words', async () => {
    expect(await shown(waiting('db', 'says hunter2-hunter2'), 80, 'hunter2-hunter2')).not.toContain(
      'hunter2',
    );
    expect(await shown(waiting('app-hunter2', 'hunter2-x'), 80, 'hunter2 hunter2')).not.toContain('hunter2');
    expect(
      await shown(waiting('n'.repeat(10), 'hunter2-hunter2'.padEnd(90)), 26, 'hunter2-hunter2'),
    ).not.toContain('hunt');
  });
});

describe('lines of the log', () => {
  test('stand above the block', async () => {
    const { block, clock, emulator, terminal } = setUp();
    terminal.write('first\n');
    const drawn = block();
    await clock.advance(200);
    terminal.write('a warning\n');
    terminal.write(`${'w'.repeat(100)}\n`);
    terminal.write('without an end');
    expect(emulator.text()).toBe(
      `first\na warning\n${'w'.repeat(40)}\n${'w'.repeat(40)}\n${'w'.repeat(20)}\nwithout an end\n… db refused\n`,
    );
    drawn.stop();
    terminal.write('last\n');
    expect(emulator.text()).toMatch(/\n… db refused\nlast\n$/);
  });
});

describe('a change of size', () => {
  const long = [waiting('db', 'r'.repeat(30)), waiting('cache', 'refused')];

  test('wider: in place', async () => {
    const { block, clock, emulator, resize } = setUp({ columns: 20, lines: long });
    block();
    await clock.advance(200);
    resize(60);
    await clock.advance(1000);
    expect(emulator.text()).toBe(`… db ${'r'.repeat(30)}\n… cache refused\n`);
  });

  test('narrower: once more below, for nobody knows how the terminal shows what was there', async () => {
    const { block, clock, emulator, resize, terminal } = setUp({ columns: 60, lines: long });
    terminal.write('above\n');
    block();
    await clock.advance(200);
    for (const columns of [50, 40, 30, 24]) {
      resize(columns);
      await clock.advance(50);
    }
    await clock.advance(2000);
    expect(emulator.text()).toMatch(
      /^above\n… db r{30}\n… cache refused\n… db r{10,18}…\n… cache refused\n$/,
    );
  });

  test('a log line at that time destroys nothing either', async () => {
    const { block, clock, emulator, resize, terminal } = setUp({ columns: 60, lines: long });
    block();
    await clock.advance(200);
    resize(24);
    terminal.write('warning\n');
    await clock.advance(2000);
    expect(emulator.text()).toMatch(/^… db r{30}\n… cache refused\nwarning\n… db r+…\n… cache refused\n$/);
  });

  test.each([
    ['rows', 60, 2],
    ['columns', 10, 10],
  ])('too few %s: it is given up, once', async (_what, columns, rows) => {
    const { block, clock, resize, state, writes } = setUp({ columns: 60, lines: long });
    const drawn = block();
    await clock.advance(200);
    writes.length = 0;
    resize(columns, rows);
    await clock.advance(5000);
    drawn.changed();
    drawn.stop();
    await clock.advance(5000);
    expect(state.gaveUp).toBe(1);
    expect(writes).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});

describe('a terminal', () => {
  test.each([
    [1, 24],
    [19, 24],
    [80, 1],
    [80, 2],
  ])('of %i columns and %i rows has no room for two lines', (columns, rows) => {
    expect(setUp({ columns, rows, lines: [waiting('a', 'x'), waiting('b', 'x')] }).begin()).toBeUndefined();
  });

  test('that is stopped gets nothing more, and the block once more when it goes on', async () => {
    const { block, clock, emulator, state, terminal, writes } = setUp();
    const drawn = block();
    await clock.advance(200);
    state.taken = false;
    writes.length = 0;
    state.lines = [waiting('db', 'other')];
    drawn.changed();
    await clock.advance(60_000);
    expect(writes).toEqual([]);
    terminal.write('warning\n');
    expect(writes).toEqual(['warning\n']);
    state.taken = true;
    await clock.advance(2000);
    expect(emulator.text()).toBe('… db refused\nwarning\n… db other\n');
  });

  test('that a shell has taken back is left alone', async () => {
    const { block, clock, state, writes } = setUp();
    const drawn = block();
    await clock.advance(200);
    state.ours = false;
    writes.length = 0;
    drawn.changed();
    await clock.advance(2000);
    expect([writes, state.gaveUp]).toEqual([[], 1]);
  });

  test('that a shell wrote to while the process was stopped keeps that', async () => {
    const { block, clock, emulator, goOn, state } = setUp();
    block();
    await clock.advance(200);
    emulator.write('[1]+ Stopped\r\n$ fg\r\n');
    goOn();
    state.lines = [waiting('db', 'other')];
    await clock.advance(2000);
    expect(emulator.text()).toBe('… db refused\n[1]+ Stopped\n$ fg\n… db other\n');
  });
});
