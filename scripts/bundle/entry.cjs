// The program's entry: loads program.js, and what that loads, with the code that V8 made of it when it was built
// (scripts/warm), so that a start need not parse some hundred kilobytes again. V8 takes such code only from its own
// version and flags; anything else is compiled as usual.
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
  // The bundle is ASCII, which latin1 reads without looking for anything else.
  const source = readFileSync(file, 'latin1');
  const script = new Script(`(function(exports,require,module,__filename,__dirname){${source}\n})`, {
    filename: file,
    cachedData: codeOf(file),
  });
  if (compiled !== undefined) compiled.set(file, script);
  const requireFrom = (name) => (name.startsWith('.') ? load(join(folder, name)) : require(name));
  modules.set(file, module);
  script.runInThisContext()(module.exports, requireFrom, module, file, folder);
  return module.exports;
}

function codeOf(file) {
  try {
    return readFileSync(`${file}.code`);
  } catch {
    return undefined;
  }
}

load(join(__dirname, 'program.js'));
