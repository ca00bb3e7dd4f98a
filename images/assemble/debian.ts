import { run } from './run.ts';

/** A Debian package of which a file is in the image. */
export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** The source package and its version: what security trackers know. */
  readonly source: string;
  readonly sourceVersion: string;
  readonly architecture: string;
}

/** The packages that own the files, each once, by name. */
export function packagesOf(files: readonly string[]): DebianPackage[] {
  const found = new Map(files.map(ownerOf).map((one) => [one.name, one]));
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function ownerOf(file: string): DebianPackage {
  // The pattern, since dpkg may have recorded /usr/lib/x as /lib/x, from before /lib became a link.
  const [owner = ''] = run('dpkg-query', '--search', `*${file.replace(/^\/usr\//, '/')}`).split(': ');
  const fields = '${Package}\n${Version}\n${source:Package}\n${source:Version}\n${Architecture}';
  const [name = '', version = '', source = '', sourceVersion = '', architecture = ''] = run(
    'dpkg-query',
    '--show',
    `--showformat=${fields}`,
    owner,
  ).split('\n');
  return { name, version, source, sourceVersion, architecture };
}

/** Where Debian keeps a package's copyright and licence texts. */
export function copyrightFile({ name }: DebianPackage): string {
  return `/usr/share/doc/${name}/copyright`;
}
