// Each file that is judged and then used is read once: between two readings somebody could exchange its content.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { runInitbox } from '../../support/program.ts';
import { requireOrSkip, whyMissing } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';

const { path: top } = temporaryDirectory('read-once');
const sum = (path: string): string => execFileSync('sha256sum', [path], { encoding: 'utf8' }).slice(0, 64);
for (const folder of ['in', 'in/tree', 'in/sql']) mkdirSync(join(top, folder));
writeFileSync(join(top, 'in/app.conf'), 'content of the file\n');
writeFileSync(join(top, 'in/tree/f'), 'content of the tree\n');
writeFileSync(join(top, 'in/app.tmpl'), 'x={{ data.x }}\n');
writeFileSync(join(top, 'in/data.yaml'), 'x: 1\n');
writeFileSync(join(top, 'in/header'), 'X-Token: 12345\n');
writeFileSync(join(top, 'in/sql/V1__a.sql'), 'select 1;\n');
execFileSync('tar', ['-C', join(top, 'in/tree'), '-czf', join(top, 'in/a.tar.gz'), '.']);
execFileSync('zip', ['-qr', join(top, 'in/a.zip'), 'f'], { cwd: join(top, 'in/tree') });
writeFileSync(
  join(top, 'in/spec.yaml'),
  `files: [{ path: ${top}/spec/f, from: [{ source: 'file:${top}/in/app.conf' }] }]\n`,
);
writeFileSync(
  join(top, 'in/plan.yaml'),
  `steps: [{ name: copy, uses: copy, sources: '${top}/in/tree', destination: '${top}/plan' }]\n`,
);

/** Command lines that read what is below `in`. */
const cases: readonly (readonly [string, string[]])[] = [
  ['fetch-config', ['fetch-config', `file:${top}/in/app.conf`, '--to', `${top}/out/f`, '--allow-disk']],
  [
    '--unpack --sha256',
    [
      'fetch-config',
      `file:${top}/in/a.tar.gz`,
      '--unpack',
      '--to',
      `${top}/sum`,
      '--sha256',
      sum(join(top, 'in/a.tar.gz')),
    ],
  ],
  ['fetch-config --spec', ['fetch-config', '--spec', `${top}/in/spec.yaml`, '--allow-disk']],
  ['--unpack', ['fetch-config', `file:${top}/in/a.tar.gz`, '--unpack', '--to', `${top}/site`]],
  ['--unpack of a zip', ['fetch-config', `file:${top}/in/a.zip`, '--unpack', '--to', `${top}/zip`]],
  [
    'render',
    [
      'render',
      `${top}/in/app.tmpl`,
      '--language',
      'liquid',
      '--data',
      `data=file:${top}/in/data.yaml`,
      '--to',
      `${top}/out/h`,
    ],
  ],
  ['copy', ['copy', `${top}/in/tree`, `${top}/copied`]],
  ['a plan', ['run', `${top}/in/plan.yaml`]],
  [
    'SQL files, which a server must be there for',
    ['migrate-with-lock', '--sql', `${top}/in/sql`, '--timeout', '1s'],
  ],
  [
    'a header',
    ['wait-http', 'http://127.0.0.1:1/', '--header-file', `${top}/in/header`, '--timeout', '300ms'],
  ],
];
for (const folder of ['out', 'spec', 'plan', 'site', 'sum', 'zip', 'copied']) mkdirSync(join(top, folder));

/** How often each file of a folder was opened and then read, by its path: to look at what it is does not count. */
function opened(trace: string): Record<string, number> {
  const counts: Record<string, number> = {};
  const unread = new Set<string>();
  for (const line of readFileSync(trace, 'latin1').split('\n')) {
    const [, made] = /\bopen(?:at2?)?\(.*= \d+<([^>]+)>/.exec(line) ?? [];
    const [, read] = /\b(?:read|pread64|readv|preadv)\(\d+<([^>]+)>/.exec(line) ?? [];
    const path = made ?? read;
    if (path === undefined || !path.startsWith(`${top}/in/`)) continue;
    if (made !== undefined) unread.add(path);
    else if (unread.delete(path)) {
      const name = path.slice(top.length + 4);
      counts[name] = (counts[name] ?? 0) + 1;
    }
  }
  return counts;
}

describe.skipIf(requireOrSkip('how often a file is read', whyMissing('strace', 'strace')))(
  'is read once',
  () => {
    test.each(cases)('%s', async (_what, words) => {
      const trace = join(top, 'trace');
      const prefix = [
        'strace',
        '-f',
        '-y',
        '-qq',
        '-e',
        'trace=open,openat,openat2,read,pread64,readv,preadv',
        '-o',
        trace,
      ];
      const env = { DATABASE_URL: 'postgres://u:p@127.0.0.1:1/db' };
      const { stderr } = await runInitbox(words, { prefix, env });
      const found = Object.entries(opened(trace));
      expect(found.length, stderr).toBeGreaterThan(0);
      for (const [path, count] of found) expect(count, `${path}: ${stderr}`).toBe(1);
    });
  },
);
