import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { build } from 'esbuild';
import { expect, test } from 'vitest';

import { packagesOutside } from '../../../../scripts/bundle/plugins.ts';
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
