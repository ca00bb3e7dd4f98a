// An app that looks at a target all the time. Each file's text is its version, again and again, and a last line; a file
// may be missing, but never be half there, of another mode, or of another version than the rest.
// argv: folder, comma-separated names, size of a whole file. Prints one JSON line at the end of standard input.
import { closeSync, fstatSync, openSync, readFileSync, readlinkSync, writeSync } from 'node:fs';

const [folder = '', list = '', size = ''] = process.argv.slice(2);
const names = list.split(',');
const problems = new Set<string>();
const versions = new Set<string>();
let reads = 0;
let wholeSets = 0;
let over = false;
process.stdin.on('end', () => (over = true)).resume();

function readVersion(path: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') problems.add(`${path}: ${code}`);
    return undefined;
  }
  try {
    const mode = fstatSync(fd).mode & 0o7777;
    const text = readFileSync(fd, 'utf8');
    const [version = ''] = text.split('\n', 1);
    reads++;
    if (mode !== 0o440) problems.add(`mode ${mode.toString(8)}`);
    if (text.length !== Number(size) || text !== `${version}\n`.repeat(text.length / (version.length + 1))) {
      problems.add(`partial: ${text.length} characters that begin with ${JSON.stringify(text.slice(0, 20))}`);
    }
    versions.add(version);
    return version;
  } finally {
    closeSync(fd);
  }
}

function dataTarget(): string | undefined {
  try {
    return readlinkSync(`${folder}/..data`);
  } catch {
    return undefined;
  }
}

function look(): void {
  const before = dataTarget();
  const seen = names.map((name) => readVersion(`${folder}/${name}`));
  if (names.length === 1 || before === undefined || before !== dataTarget()) return;
  // Nothing was swapped while we read: all of one version, and all there.
  if (new Set(seen).size > 1) problems.add(`mixed: ${seen.join(', ')} in ${before}`);
  wholeSets++;
}

while (!over) {
  for (let round = 0; round < 50; round++) look();
  await new Promise((resolve) => setImmediate(resolve));
}
writeSync(1, `${JSON.stringify({ problems: [...problems], reads, wholeSets, versions: versions.size })}\n`);
