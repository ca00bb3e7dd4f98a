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
const { readFileSync } = require('node:fs');
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
  // The bundle is ASCII, which latin1 reads without looking for anything else.
  const source = `(function(exports,require,module,__filename,__dirname){${bytes.latin1Slice()}\n})`;
  const script = new Script(source, { filename: file, cachedData: codeOf(file, bytes) });
  if (compiled !== undefined) compiled.set(file, { script, seal: (code) => seal(bytes, code) });
  const requireFrom = (name) => (name.startsWith('.') ? load(join(folder, name)) : require(name));
  modules.set(file, module);
  script.runInThisContext()(module.exports, requireFrom, module, file, folder);
  return module.exports;
}

/** The code that lies beside a file, where it was made from these very bytes and is whole; else it is made anew. */
function codeOf(file, source) {
  try {
    const bytes = readFileSync(`${file}.code`);
    const code = bytes.subarray(sealSize);
    return bytes.latin1Slice(0, sealSize) === seal(source, code) ? code : undefined;
  } catch {
    return undefined;
  }
}

/**
 * What stands before the code in its file: by whom it was made, of what, and what it is. V8 itself compares its version,
 * its flags and the two lengths (SerializedCodeData::SanityCheck in its code-serializer.cc), and runs whatever else is
 * there: one wrong bit is a crash, or another program. A file cut short, a bad disk, and one of two files copied are
 * what this is against. Who may write the code may write the program, so that no signature is needed.
 */
function seal(source, code) {
  const { version, arch } = process;
  return `initbox code 1, Node ${version} ${arch}, ${sum(source)}, ${sum(code)}\n`.padEnd(sealSize);
}
// A multiple of 8: V8 copies code that does not begin at one.
const sealSize = 128;

/**
 * Length and checksum. By hand, as node:zlib takes longer to load than this takes over a start's files, and node:crypto
 * twice as long. Two sums over words of 32 bits: of the words, turned so that each bit reaches all others, and of that
 * sum's course.
 */
function sum(bytes) {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  let first = 1;
  let second = 0;
  for (let index = 0; index < words.length; index++) {
    first = (((first << 5) | (first >>> 27)) + words[index]) | 0;
    second = (second + first) | 0;
  }
  for (let index = words.length << 2; index < bytes.length; index++) {
    first = (((first << 5) | (first >>> 27)) + bytes[index]) | 0;
    second = (second + first) | 0;
  }
  return `${bytes.length} bytes ${first >>> 0} ${second >>> 0}`;
}

load(join(__dirname, 'program.js'));
