import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, it } from 'vitest';

import { formatFile } from '../../../../src/config/formats/format.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { quote, temporaryDirectory, undoAtDeath } from '../../../support/undo.ts';
import { generatedValues } from './values.ts';

function whyNoDocker(): string | undefined {
  const missing = whyMissing('docker', 'docker.io');
  if (missing !== undefined) return missing;
  try {
    execFileSync('docker', ['version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'the Docker daemon does not answer';
  }
}

it.skipIf(requireOrSkip('dotenv read by docker --env-file', whyNoDocker()))(
  'docker --env-file reads bare dotenv values, which is all that it can express of them',
  () => {
    // Docker takes each line as it is, quotes and all; what needs none is written without.
    const words = new Map([...generatedValues(4000)].filter(([, value]) => /^[\w./:@%+,=-]+$/.test(value)));
    for (let index = 0; index < 50; index++) words.set(`W${index}`, `user:p@ss=${index},a+b%20/c.d-e_f`);
    const folder = temporaryDirectory('docker');
    const image = `initbox-test-empty-${process.pid}`;
    const undo = undoAtDeath(`docker rmi -f ${quote(image)}`);
    try {
      const path = join(folder.path, 'app.env');
      writeFileSync(path, formatFile('dotenv', { kind: 'fields', fields: words }).output);
      const docker = (args: string[], input?: Buffer): string =>
        execFileSync('docker', args, { encoding: 'utf8', ...(input && { input }) }).trim();
      // An empty archive: two blocks of zeros.
      docker(['import', '-', image], Buffer.alloc(1024));
      const container = docker(['create', '--env-file', path, image, '/none']);
      try {
        const seen = JSON.parse(
          docker(['inspect', '--format', '{{json .Config.Env}}', container]),
        ) as string[];
        const found = new Map(
          seen.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
        );
        const asked = new Map([...words.keys()].map((key) => [key, found.get(key)]));
        expect(asked).toEqual(words);
      } finally {
        docker(['rm', '-f', container]);
      }
    } finally {
      execFileSync('docker', ['rmi', '-f', image], { stdio: 'ignore' });
      undo.forget();
      folder.remove();
    }
  },
);
