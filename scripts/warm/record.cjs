// Preloaded into a run of the program (`node --require`): when it ends, the code that V8 made of each of its files is
// written beside the file, sealed as scripts/bundle/entry.cjs says, unless an earlier run has done so. With
// INITBOX_WARM_WHOLE, all of a file is compiled rather than what the run calls. With INITBOX_WARM_MORE, what the run calls
// of program.js is added to what earlier runs did: it has taken their code, and V8 writes down both.
const { existsSync, writeFileSync } = require('node:fs');
const { basename } = require('node:path');
const { setFlagsFromString } = require('node:v8');

const whole = process.env.INITBOX_WARM_WHOLE !== undefined;
const more = process.env.INITBOX_WARM_MORE !== undefined;
delete process.env.INITBOX_WARM_WHOLE;
delete process.env.INITBOX_WARM_MORE;
if (whole) setFlagsFromString('--no-lazy');

const compiled = new Map();
globalThis[Symbol.for('initbox.compiled')] = compiled;
process.on('exit', () => {
  // V8 takes code from a process with the same flags alone.
  if (whole) setFlagsFromString('--lazy');
  for (const [file, { script, sealed }] of compiled) {
    const path = `${file}.code`;
    if (!existsSync(path) || (more && basename(file) === 'program.js'))
      writeFileSync(path, sealed(script.createCachedData()));
  }
});
