import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { versions } from 'node:process';

import type { DebianPackage } from './debian.ts';

/** What is compiled into Node and has advisories of its own, by its name in process.versions. */
const partsOfNode = [
  'ada',
  'ares',
  'brotli',
  'icu',
  'llhttp',
  'nghttp2',
  'openssl',
  'simdjson',
  'simdutf',
  'sqlite',
  'undici',
  'uv',
  'v8',
  'zlib',
  'zstd',
] as const;

interface Component {
  readonly type: string;
  readonly name: string;
  readonly version: string;
  readonly [field: string]: unknown;
}

/** The bundle's bill of materials with Node, its libraries and the CA certificates added. */
export async function bill(dist: string, packages: readonly DebianPackage[]): Promise<string> {
  const bom = JSON.parse(await readFile(join(dist, 'sbom.cdx.json'), 'utf8')) as { components: Component[] };
  const distribution = /^ID=(.*)$/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1] ?? 'debian';
  bom.components.push(node(), ...packages.map((one) => debian(one, distribution)));
  return `${JSON.stringify(bom, undefined, 2)}\n`;
}

function node(): Component {
  return {
    type: 'platform',
    'bom-ref': `pkg:generic/node@${versions.node}`,
    name: 'node',
    version: versions.node,
    purl: `pkg:generic/node@${versions.node}`,
    cpe: `cpe:2.3:a:nodejs:node.js:${versions.node}:*:*:*:*:*:*:*`,
    licenses: [{ license: { id: 'MIT' } }],
    components: partsOfNode.flatMap((name) => {
      const version = versions[name];
      return version ? [{ type: 'library', name, version, 'bom-ref': `node/${name}@${version}` }] : [];
    }),
  };
}

function debian(one: DebianPackage, distribution: string): Component {
  const upstream = `${one.source}@${one.sourceVersion}`;
  const purl = `pkg:deb/${distribution}/${one.name}@${encodeURIComponent(one.version)}?arch=${one.architecture}&upstream=${encodeURIComponent(upstream)}`;
  return { type: 'library', 'bom-ref': purl, name: one.name, version: one.version, purl };
}
