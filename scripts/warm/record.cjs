// Preloaded into a run of the program (`node --require`): when it ends, the code that V8 made of each of its files is
// written beside the file, sealed as scripts/bundle/entry.cjs says, unless an earlier run has done so. With INITBOX_WARM_WHOLE, all of a file is compiled rather
// than what the run calls.
const { existsSync, writeFileSync } = require('node:fs');
const { setFlagsFromString } = require('node:v8');

const whole = process.env.INITBOX_WARM_WHOLE !== undefined;
delete process.env.INITBOX_WARM_WHOLE;
if (whole) setFlagsFromString('--no-lazy');

const compiled = new Map();
globalThis[Symbol.for('initbox.compiled')] = compiled;
process.on('exit', () => {
  // V8 takes code from a process with the same flags alone.
  if (whole) setFlagsFromString('--lazy');
  for (const [file, { script, sealed }] of compiled) {
    const path = `${file}.code`;
    if (!existsSync(path)) writeFileSync(path, sealed(script.createCachedData()));
  }
});
