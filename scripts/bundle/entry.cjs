// The program's entry: loads program.js, and what that loads, with the code that V8 made of it when it was built
// (scripts/warm), so that a start need not parse some hundred kilobytes again.
if (parseInt(process.versions.node) < 26) {
  require('node:fs').writeSync(
    2,
    'initbox needs Node 26 or newer; this is ' + process.version + ' (' + process.execPath + ')\n',
  );
  process.exitCode = 2;
  return;
}
// SIGUSR1 is ignored. Without a listener Node answers it by opening its inspector, to all containers of the pod; the
// image's first line turns that off even before this line runs. The other signals are those of src/main.ts: the kernel
// drops one for PID 1 that has no handler yet (pid_namespaces(7)). One that comes while the program is being loaded waits
// for the event loop, and by then main.ts listens.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1']) process.on(signal, () => {});
const { closeSync, constants, fstatSync, openSync, readFileSync, readSync } = require('node:fs');
const { dirname, join } = require('node:path');
const { Script } = require('node:vm');

const modules = new Map();
// Set by scripts/warm alone, to keep the code of what a run has compiled.
const compiled = globalThis[Symbol.for('initbox.compiled')];

function load(file) {
  const known = modules.get(file);
  if (known !== undefined) return known.exports;
  const module = { exports: {} };
  const folder = dirname(file);
  const bytes = readFileSync(file);
  // The bundle is ASCII, which latin1 reads without looking for anything else. It is a function already (bundle/program.ts).
  const script = new Script(bytes.latin1Slice(), { filename: file, cachedData: codeOf(file, bytes) });
  if (compiled !== undefined) compiled.set(file, { script, sealed: (code) => sealed(bytes, code) });
  const requireFrom = (name) => (name.startsWith('.') ? load(join(folder, name)) : require(name));
  modules.set(file, module);
  script.runInThisContext()(module.exports, requireFrom, module, file, folder);
  return module.exports;
}

/** The code that lies beside a file, where it was made from these very bytes and is whole; else V8 makes it anew. */
function codeOf(file, source) {
  let descriptor;
  try {
    // A named pipe or a device there must not hold up the start, nor a file of any size fill the memory.
    descriptor = openSync(`${file}.code`, constants.O_RDONLY | constants.O_NONBLOCK);
    const { size } = fstatSync(descriptor);
    const length = (size - lineSize - source.length) / 2;
    if (!Number.isInteger(length) || length <= 0 || length > mostCode * source.length) return undefined;
    // Piece by piece: fresh memory for all of it would take longer than to read it.
    const piece = Buffer.allocUnsafeSlow(pieceSize);
    const read = (most) => readSync(descriptor, piece, 0, Math.min(pieceSize, most));
    if (read(lineSize) !== lineSize || piece.latin1Slice(0, lineSize) !== lineFor(source, length))
      return undefined;
    const code = Buffer.allocUnsafeSlow(length);
    for (let done = 0; done < length;) {
      const got = read(2 * (length - done));
      for (let at = 0; at < got;) {
        const block = Math.min(blockSize, length - done);
        if (at + 2 * block > got || piece.compare(piece, at, at + block, at + block, at + 2 * block) !== 0)
          return undefined;
        done += piece.copy(code, done, at, at + block);
        at += 2 * block;
      }
      if (got === 0) return undefined;
    }
    for (let done = 0; done < source.length;) {
      const got = read(source.length - done);
      if (got === 0 || source.compare(piece, 0, got, done, done + got) !== 0) return undefined;
      done += got;
    }
    return code;
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/**
 * A file of code: by whom it was made, each block of the code twice, and the bytes that it was made from. V8 itself
 * compares its version, its flags and lengths (SerializedCodeData::SanityCheck in its code-serializer.cc) and then runs
 * what is there: a wrong bit, or code of another source of the same length, is a crash or another program. Copies take
 * the place of checksums: comparing them takes no time, while loading node:zlib (4 ms), node:crypto (8 ms) or a sum in
 * JavaScript (5 ms, 6 MB) is a tenth of a start. A block's copy follows it at once, where the compression of an image's
 * layer finds it again. This is against accidents: a file cut short, a bad disk, an upgrade half done. Whoever may write
 * this file may write the program as well.
 */
function sealed(source, code) {
  const parts = [Buffer.from(lineFor(source, code.length), 'latin1')];
  for (let done = 0; done < code.length; done += blockSize) {
    const block = code.subarray(done, done + blockSize);
    parts.push(block, block);
  }
  return Buffer.concat([...parts, source]);
}
function lineFor(source, length) {
  return `initbox code 2, Node ${process.version} ${process.arch}, ${length} of ${source.length} bytes\n`.padEnd(
    lineSize,
  );
}
const lineSize = 128;
// Two of them are less than what gzip looks back over (32 KiB).
const blockSize = 8192;
// Whole pairs of blocks.
const pieceSize = 16 * blockSize;
// V8's code of a file has one to three times the file's length, and more for a very small one.
const mostCode = 64;

load(join(__dirname, 'program.js'));
