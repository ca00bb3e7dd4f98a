// Runs of the program with canaries, and where one of them showed.
import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { startInitbox, terminationLog } from '../../support/program.ts';
import { canaries, showsCanary } from './canaries.ts';

export interface CanaryRun {
  readonly args: (place: string) => readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Files that it may write. */
  readonly own?: RegExp;
  /** What must be in its standard error, so that the failure is the one that was meant. */
  readonly says?: RegExp;
}

/** Of those, what a header, a URL or a message of PostgreSQL takes. */
const short = Object.entries(canaries).filter(
  ([, value]) => value.length < 3000 && !/[^\x20-\x7e]/.test(value),
);

/** A twentieth of these, others for each offset. */
export function someCanaries(offset: number): readonly [name: string, value: string][] {
  return short.filter((_, index) => index % 20 === offset);
}

/**
 * Runs the program at debug level, each second time with a log of JSON, in a folder that has all canaries in `in.json`, and
 * tells where one showed: nowhere, it should be. What its children have in their environments counts, where the
 * program was not given it so.
 */
export function leaksIn(folder: () => string): (run: CanaryRun) => Promise<string[]> {
  let runs = 0;
  return async ({ args, env = {}, own = /^out/, says }) => {
    const place = folder();
    writeFileSync(join(place, 'in.json'), JSON.stringify(canaries));
    const words = args(place);
    const log = terminationLog();
    const ours = ['--log-level', 'debug', '--log-format', runs++ % 2 === 0 ? 'text' : 'json'];
    const dashes = words.indexOf('--');
    const end = dashes < 0 ? words.length : dashes;
    const before = new Set(filesIn(place));
    const running = await startInitbox(
      [...words.slice(0, end), ...ours, '--termination-log', log.path, ...words.slice(end)],
      { env },
    );
    const given = showsCanary.test(JSON.stringify(env));
    const visible: string[] = [];
    const look = setInterval(() => visible.push(...visibleToOthers(running.pid, given)), 10);
    const { stdout, stderr } = await running.exit;
    clearInterval(look);
    const what = `initbox ${words.slice(0, 4).join(' ')}`;
    const strays = filesIn(place)
      .filter((path) => !before.has(path) && !own.test(path))
      .filter((path) => showsCanary.test(readFileSync(join(place, path), 'latin1')));
    rmSync(place, { recursive: true });
    const said = {
      stdout,
      stderr,
      'the termination message': log.read(),
      'command lines and environments': visible.join('\n'),
    };
    const found = Object.entries(said).map(([name, text]) => [name, around(text)] as const);
    return [
      ...found.flatMap(([name, text]) => (text === '' ? [] : [`${what}: ${name}: ${text}`])),
      ...strays.map((path) => `${what}: the file ${path}`),
      ...(says === undefined || says.test(stderr) ? [] : [`${what}: another failure: ${stderr}`]),
    ];
  };
}

function around(text: string): string {
  const at = text.search(showsCanary);
  return at < 0 ? '' : text.slice(Math.max(0, at - 200), at + 60);
}

function filesIn(place: string): string[] {
  return readdirSync(place, { recursive: true })
    .map(String)
    .filter((path) => statSync(join(place, path), { throwIfNoEntry: false })?.isFile());
}

/** Of the program and its children: command lines, and the environments of the children. */
function visibleToOthers(pid: number, given: boolean): string[] {
  const read = (path: string): string => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return ''; // it has ended
    }
  };
  const children = read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean);
  return [
    read(`/proc/${pid}/cmdline`),
    ...children.map((child) => read(`/proc/${child}/cmdline`)),
    ...(given ? [] : children.map((child) => read(`/proc/${child}/environ`))),
  ];
}
