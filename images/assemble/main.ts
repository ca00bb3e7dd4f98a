/**
 * Lays out the image's file system: `node main.ts DIST OUT`, run by the Node that goes into the image.
 * OUT/initbox becomes /initbox, OUT/etc becomes /etc; nothing else leaves the build stage.
 */
import { chmod, copyFile, cp, glob, lstat, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { argv } from 'node:process';

import { warm } from '../../scripts/warm/warm.ts';
import { bill } from './bill.ts';
import { packagesOf } from './debian.ts';
import { firstLine } from './first-line.ts';
import { licences } from './licences.ts';
import { manifest } from './manifest.ts';
import { copyNode } from './node.ts';

const [dist, out] = argv.slice(2);
if (!dist || !out) throw new Error('usage: node main.ts DIST OUT');

const home = join(out, 'initbox');
const certificates = '/etc/ssl/certs/ca-certificates.crt';

const { version } = JSON.parse(await readFile(join(dist, 'sbom.cdx.json'), 'utf8')).metadata.component as {
  version: string;
};

for (const folder of ['bin', 'lib', 'etc/ssl/certs']) await mkdir(join(home, folder), { recursive: true });
const libraries = await copyNode(home);
const packages = packagesOf([...libraries.map(({ source }) => source), '/usr/sbin/update-ca-certificates']);

const entry = await readFile(join(dist, 'initbox.js'), 'utf8');
await writeFile(join(home, 'initbox'), firstLine + entry.slice(entry.indexOf('\n')));
for (const part of ['program.js', 'commands', 'parts', 'packages'])
  await cp(join(dist, part), join(home, part), {
    recursive: true,
    filter: (path) => !path.endsWith('.code'),
  });
// Said, so that Node need not find it out.
await writeFile(
  join(home, 'package.json'),
  `${JSON.stringify({ name: 'initbox', version, type: 'commonjs' })}\n`,
);

await copyFile(certificates, join(home, certificates));
await writeFile(join(home, 'sbom.cdx.json'), await bill(dist, packages));
await writeFile(join(home, 'THIRD-PARTY-LICENSES'), await licences(dist, packages));

// glibc asks DNS before /etc/hosts where this file is missing.
await mkdir(join(out, 'etc'), { recursive: true });
await writeFile(join(out, 'etc/nsswitch.conf'), 'passwd: files\ngroup: files\nhosts: files dns\n');

// By the Node that goes into the image: code of another version would not be taken.
await warm(join(home, 'initbox'));
await normalizeModes();
await writeFile(join(home, 'manifest.json'), await manifest(home, version));

/** Any UID may read and run it, nobody but root may change it, whatever the umask of the build was. */
async function normalizeModes(): Promise<void> {
  for await (const name of glob('**', { cwd: out! })) {
    const path = join(out!, name);
    const executable = (await lstat(path)).isDirectory() || /^initbox\/(initbox|bin\/.*|lib\/.*)$/.test(name);
    await chmod(path, executable ? 0o755 : 0o644);
  }
}
