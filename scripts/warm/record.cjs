// Preloaded into a run of the program (`node --require`): when it ends, the code that V8 made of each of its files is
// written beside the file, unless an earlier run has done so.
const { existsSync, writeFileSync } = require('node:fs');

const compiled = new Map();
globalThis[Symbol.for('initbox.compiled')] = compiled;
process.on('exit', () => {
  for (const [file, script] of compiled) {
    const code = `${file}.code`;
    if (!existsSync(code)) writeFileSync(code, script.createCachedData());
  }
});
