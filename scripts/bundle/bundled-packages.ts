import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Metafile } from 'esbuild';

/** An npm package of which at least one byte is in the bundle. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** SPDX expression, as the package states it. */
  readonly licence: string;
  /** Where it is installed, relative to the repository, as in `node_modules/yargs`. */
  readonly folder: string;
}

/** The npm packages in the bundle, by name: what is in it, not what is installed. */
export async function bundledPackages(root: string, metafile: Metafile): Promise<BundledPackage[]> {
  const folders = new Set<string>();
  for (const output of Object.values(metafile.outputs)) {
    for (const [input, { bytesInOutput }] of Object.entries(output.inputs)) {
      const folder = folderOf(input);
      // A file of which nothing is left after tree shaking is not in the bundle.
      if (folder && bytesInOutput > 0) folders.add(folder);
    }
  }
  const found = await Promise.all([...folders].map((folder) => describe(root, folder)));
  // The same version may be installed in two places.
  const unique = new Map(found.map((one) => [`${one.name}@${one.version}`, one]));
  return [...unique.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** `node_modules/a/node_modules/@b/c/lib/d.js` is of `node_modules/a/node_modules/@b/c`. */
function folderOf(input: string): string | undefined {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
}

async function describe(root: string, folder: string): Promise<BundledPackage> {
  const stated = JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
    license?: string;
    /** Of old. */
    licenses?: readonly { readonly type: string }[];
  };
  const licence = stated.license ?? stated.licenses?.map(({ type }) => type).join(' OR ');
  if (!licence) throw new Error(`${folder}/package.json states no licence`);
  return { name: stated.name, version: stated.version, licence, folder };
}
