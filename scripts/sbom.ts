/**
 * Writes what must travel with the bundle: dist/sbom.cdx.json (CycloneDX 1.6, https://cyclonedx.org) and
 * dist/THIRD-PARTY-LICENSES, both from esbuild's account of what is in the bundle. The image's build adds
 * Node, its libraries and the CA certificates to them (images/assemble).
 */
import { readFile, readdir, realpath, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import type { Metafile } from 'esbuild';

import { bundledPackages, type BundledPackage } from './bundle/bundled-packages.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');

const product = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
  name: string;
  version: string;
};
const metafile = JSON.parse(await readFile(join(dist, 'meta.json'), 'utf8')) as Metafile;
const packages = await bundledPackages(root, metafile);

await writeFile(join(dist, 'sbom.cdx.json'), `${JSON.stringify(bill(packages), undefined, 2)}\n`);
await writeFile(join(dist, 'THIRD-PARTY-LICENSES'), (await Promise.all(packages.map(licenceOf))).join(''));
// Some images with Node leave its licence out, so the one of the Node that builds is at hand.
await writeFile(join(dist, 'NODE-LICENSE'), await readFile(join(await nodePrefix(), 'LICENSE')));

function bill(bundled: readonly BundledPackage[]): object {
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: {
        type: 'application',
        'bom-ref': product.name,
        name: product.name,
        version: product.version,
      },
    },
    components: bundled.map((one) => ({
      type: 'library',
      'bom-ref': purl(one),
      name: one.name,
      version: one.version,
      licenses: [{ license: { id: one.licence } }],
      purl: purl(one),
    })),
  };
}

/** A package URL as https://github.com/package-url/purl-spec has it: a scope's @ is escaped. */
function purl({ name, version }: BundledPackage): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`;
}

async function licenceOf({ name, version, licence, folder }: BundledPackage): Promise<string> {
  const text =
    (await licenceFiles(join(root, folder))) ||
    (await licenceInReadme(join(root, folder))) ||
    (await licenceOfRepository(join(root, folder), licence)) ||
    (await licenceByName(join(root, folder), licence));
  if (!text) throw new Error(`${folder} has no licence text to ship`);
  return `${name} ${version} (${licence})\n${'-'.repeat(72)}\n${text}\n\n\n`;
}

async function licenceFiles(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => /^(licen[cs]e|copying|notice)/i.test(name));
  const texts = await Promise.all(names.toSorted().map((name) => readFile(join(folder, name), 'utf8')));
  return texts.join('\n').trim();
}

/** Some packages, pg-types for one, state their licence at the end of the README only. */
async function licenceInReadme(folder: string): Promise<string | undefined> {
  const readme = await readFile(join(folder, 'README.md'), 'utf8').catch(() => '');
  const section = /^#+ *licen[cs]e *$([\s\S]+)/im.exec(readme)?.[1]?.trim();
  return section && /copyright/i.test(section) ? section : undefined;
}

/** Some packages of the AWS SDK leave out the text that the others of the same repository ship. */
async function licenceOfRepository(folder: string, licence: string): Promise<string | undefined> {
  const { repository } = await manifest(folder);
  if (repository?.url === undefined) return undefined;
  for (const sibling of await readdir(dirname(folder))) {
    const other = join(dirname(folder), sibling);
    const theirs = await manifest(other);
    if (theirs.repository?.url !== repository.url || theirs.license !== licence) continue;
    const text = await licenceFiles(other);
    if (text) return text;
  }
  return undefined;
}

/** A package that states the ISC licence and its author, and ships no text: https://spdx.org/licenses/ISC.html */
async function licenceByName(folder: string, licence: string): Promise<string | undefined> {
  const { author } = await manifest(folder);
  const holder = typeof author === 'string' ? author : author?.name;
  if (licence !== 'ISC' || holder === undefined) return undefined;
  return `Copyright (c) ${holder}

Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.`;
}

interface PackageManifest {
  readonly repository?: { readonly url?: string };
  readonly license?: string;
  readonly author?: string | { readonly name?: string };
}

async function manifest(folder: string): Promise<PackageManifest> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as PackageManifest;
}

async function nodePrefix(): Promise<string> {
  return dirname(dirname(await realpath(process.execPath)));
}
