import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { limitMemory } from '../test/support/memory-limit.ts';
import { programCommand } from '../test/support/program.ts';
import { numberFlag, textFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { median } from './support/statistics.ts';
import { usageOf, type Usage } from './support/usage.ts';

export const name = 'download';
export const description =
  'large files and archives by HTTP, against `curl -o` and `curl | tar xz`, within 64 MiB';

const memory = 64 << 20;

/** A server of its own, as a process of its own: what it takes is not ours. It serves a folder. */
const server = `
import functools, http.server, os, sys
class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *_): pass
    def copyfile(self, source, output):
        output.flush()
        left, at = os.fstat(source.fileno()).st_size, 0
        while at < left:
            sent = os.sendfile(output.fileno(), source.fileno(), at, left - at)
            if sent == 0: return
            at += sent
served = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=sys.argv[1]))
print(served.server_port, flush=True)
served.serve_forever()
`;

/** Content that gzip halves, in files of 1 MiB, and one file of the same size. */
const make = `
import os, random, sys, tarfile, io, subprocess
folder, mebibytes = sys.argv[1], int(sys.argv[2])
random.seed(1)
words = [bytes(random.choices(b'abcdefghijklmnopqrstuvwxyz', k=random.randint(3, 12))) for _ in range(4000)]
pieces = []
for _ in range(16):
    text = b' '.join(random.choices(words, k=80000))[:512 << 10]
    pieces.append(text + b'.' * ((512 << 10) - len(text)) + random.randbytes(512 << 10))
with open(folder + '/file', 'wb') as out:
    for i in range(mebibytes): out.write(pieces[i % 16])
packer = subprocess.Popen(['gzip', '-1'], stdin=subprocess.PIPE, stdout=open(folder + '/site.tar.gz', 'wb'))
with tarfile.open(fileobj=packer.stdin, mode='w|') as tar:
    for i in range(mebibytes):
        entry = tarfile.TarInfo(f'site/{i // 100}/{i}')
        entry.size = 1 << 20
        tar.addfile(entry, io.BytesIO(pieces[i % 16]))
packer.stdin.close()
sys.exit(packer.wait())
`;

export async function run(flags: readonly string[], report: Report): Promise<void> {
  const rounds = numberFlag(flags, 'rounds', 3);
  const mebibytes = numberFlag(flags, 'mebibytes', 2048);
  const folder = mkdtempSync(join(textFlag(flags, 'folder') ?? tmpdir(), 'initbox-bench-'));
  const served = join(folder, 'served');
  mkdirSync(served);
  const [made] = await usageOf([['python3', '-c', make, served, String(mebibytes)]]);
  if (made?.status !== 0) throw new Error('the files to serve could not be made');
  const serving = spawn('python3', ['-c', server, served], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const port = await new Promise<string>((resolve) => {
      createInterface({ input: serving.stdout }).once('line', resolve);
    });
    const url = (path: string): string => `http://127.0.0.1:${port}/${path}`;
    const target = join(folder, 'target');
    const size = ['--max-size', '4Gi', '--max-unpacked', '8Gi', '--timeout', '30m'];
    const fetch = (...args: string[]): string[] => [...programCommand(), 'fetch-config', ...args, ...size];
    const pipe = `set -o pipefail; curl -sS ${url('site.tar.gz')} | tar xz -C ${target}`;
    const cases = [
      {
        what: `a file of ${mebibytes} MiB`,
        peer: 'curl -o',
        ours: fetch(url('file'), '--to', join(target, 'file')),
        theirs: ['curl', '-sS', '-o', join(target, 'file'), url('file')],
        looksRight: () => statSync(join(target, 'file')).size === mebibytes * 2 ** 20,
      },
      {
        what: `a tar.gz of ${mebibytes} MiB`,
        peer: 'curl | tar xz',
        ours: fetch(url('site.tar.gz'), '--unpack', '--to', target),
        theirs: ['bash', '-c', pipe],
        looksRight: () => readdirSync(join(target, 'site')).length === Math.ceil(mebibytes / 100),
      },
    ];
    for (const { what, peer, ours, theirs, looksRight } of cases) {
      const once = async (command: readonly string[]): Promise<Usage & { readonly peak: number }> => {
        rmSync(target, { recursive: true, force: true });
        mkdirSync(target);
        using limit = limitMemory(memory);
        if (limit === undefined) throw new Error('no control group can be made here');
        const [usage] = await usageOf([[...limit.prefix, ...command]]);
        if (usage?.status !== 0 || !looksRight()) throw new Error(`${command.join(' ')}: ${usage?.status}`);
        return { ...usage, peak: limit.peak() };
      };
      const [a, b]: Awaited<ReturnType<typeof once>>[][] = [[], []];
      for (let round = 0; round < rounds; round++) {
        a?.push(await once(ours));
        b?.push(await once(theirs));
      }
      const [us, them] = [a ?? [], b ?? []];
      report.say(`${what} within 64 MiB (medians of ${rounds}):`);
      report.table(
        ['process', 'wall ms', 'CPU ms', 'resident MiB'],
        [
          ['initbox fetch-config', ...medians(us)],
          [peer, ...medians(them)],
        ],
      );
      const measured = median(us.map(({ wall }) => wall)) / median(them.map(({ wall }) => wall));
      report.figure({ what: `${what}, wall time`, measured, unit: '×', bound: 1.1, peer });
    }
  } finally {
    serving.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

function medians(usages: readonly Usage[]): [number, number, number] {
  return [
    median(usages.map(({ wall }) => wall)),
    median(usages.map(({ cpu }) => cpu)),
    median(usages.map(({ memory: resident }) => resident / 1024)),
  ];
}
