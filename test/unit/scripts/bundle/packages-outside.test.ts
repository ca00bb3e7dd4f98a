import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { build } from 'esbuild';
import { expect, test } from 'vitest';

import { builtinsByName, packagesOutside } from '../../../../scripts/bundle/plugins.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

test('what many files import of one package, asked for at once, is all kept', async () => {
  const { path: folder } = temporaryDirectory('bundle');
  const names = Array.from({ length: 50 }, (_, index) => `name${index}`);
  for (const name of names) {
    writeFileSync(
      join(folder, `${name}.js`),
      `import { ${name} } from 'some-package';\nconsole.log(${name});\n`,
    );
  }
  writeFileSync(join(folder, 'all.js'), names.map((name) => `import './${name}.js';\n`).join(''));
  for (let round = 0; round < 5; round++) {
    const used = new Map<string, Set<string>>();
    await build({
      entryPoints: [join(folder, 'all.js')],
      bundle: true,
      write: false,
      logLevel: 'silent',
      plugins: [packagesOutside('./', used)],
    });
    expect(new Set(used.get('some-package'))).toEqual(new Set(names));
  }
});

test.each([
  [
    "import { BlockList, isIP } from 'node:net';\nconsole.log(BlockList, isIP);",
    /Node loads BlockList of node:net/,
  ],
  ["import { promises } from 'node:fs';\nconsole.log(promises);", /Node loads promises of node:fs/],
  ["import net, { isIP } from 'node:net';\nconsole.log(net, isIP);", undefined],
])('a name by which Node loads more of itself is not imported with a module: %s', async (source, refusal) => {
  const { path: folder } = temporaryDirectory('bundle');
  const file = join(folder, 'one.ts');
  writeFileSync(file, source);
  const built = build({
    entryPoints: [file],
    platform: 'node',
    bundle: true,
    write: false,
    logLevel: 'silent',
    plugins: [builtinsByName],
  });
  if (refusal === undefined) await expect(built).resolves.toBeDefined();
  else await expect(built).rejects.toThrow(refusal);
});
