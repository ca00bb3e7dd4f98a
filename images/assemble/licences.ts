import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execPath, version } from 'node:process';

import { copyrightFile, type DebianPackage } from './debian.ts';

/** The bundle's licence texts with those of Node, its libraries and the CA certificates added. */
export async function licences(dist: string, packages: readonly DebianPackage[]): Promise<string> {
  const parts = [
    await readFile(join(dist, 'THIRD-PARTY-LICENSES'), 'utf8'),
    titled(`Node.js ${version}`, await ofNode(dist)),
  ];
  const common = new Set<string>();
  for (const one of packages) {
    const text = await readFile(copyrightFile(one), 'utf8');
    parts.push(titled(`${one.name} ${one.version} (Debian)`, text));
    for (const [file] of text.matchAll(/\/usr\/share\/common-licenses\/[\w.-]*[\w]/g)) common.add(file);
  }
  // Debian's copyright files point to licences by their path, which does not exist where this file goes.
  for (const file of [...common].toSorted()) parts.push(titled(file, await readFile(file, 'utf8')));
  return parts.join('');
}

async function ofNode(dist: string): Promise<string> {
  const ownFile = join(dirname(dirname(execPath)), 'LICENSE');
  return readFile(ownFile, 'utf8').catch(() => readFile(join(dist, 'NODE-LICENSE'), 'utf8'));
}

function titled(title: string, text: string): string {
  return `${title}\n${'-'.repeat(72)}\n${text.trim()}\n\n\n`;
}
