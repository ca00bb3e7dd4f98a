// Preloaded into a run of the program (`node --require`): when it ends, the code that V8 made of each of its files is
// written beside the file behind a seal (scripts/bundle/entry.cjs), unless an earlier run has done so. With INITBOX_WARM_WHOLE, all of a file is compiled rather
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
  for (const [file, { script, seal }] of compiled) {
    const path = `${file}.code`;
    if (existsSync(path)) continue;
    const code = script.createCachedData();
    writeFileSync(path, Buffer.concat([Buffer.from(seal(code), 'latin1'), code]));
  }
});
