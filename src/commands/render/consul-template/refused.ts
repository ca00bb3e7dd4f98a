const consul = 'a list of services, nodes or keys of Consul is not read';
const services = `${consul}; for addresses write --data PEERS=dns:NAME.service.consul and {{ range .PEERS }}`;
const keys = `${consul}; name each key: {{ key "…" }}`;
const nomad = 'Nomad is not read';
const oneFile =
  'a template writes one file: make a template for each, with the same arguments of pkiCert or secret, which is asked once for all of them';
const variables = 'write {{ $x := "" }} before, and {{ $x = … }} where it is set';
const debugging = 'it writes secrets as they are; leave it out';

/** Functions of consul-template and Go that are not here, and what to do. */
const words: Readonly<Record<string, string>> = {
  byKey: keys,
  byMeta: services,
  byPort: services,
  byTag: services,
  caLeaf: consul,
  caRoots: consul,
  connect: services,
  datacenters: consul,
  explode: keys,
  exportedServices: consul,
  ls: keys,
  node: services,
  nodes: services,
  partitions: consul,
  peerings: consul,
  safeLs: keys,
  safeTree: keys,
  service: services,
  services: services,
  tree: keys,
  secrets: 'a list of secrets is not read; name each: {{ secret "…" }}',
  nomadService: nomad,
  nomadServices: nomad,
  nomadVar: nomad,
  nomadVarExists: nomad,
  nomadVarList: nomad,
  nomadVarListSafe: nomad,
  parseYAML: 'readers of YAML differ; write --data NAME=FILE.yaml and {{ .NAME }}, or parseJSON',
  plugin: 'no program is started; run it in a step before, and read its file: {{ file "…" }}',
  call: 'there are no functions that are values',
  scratch: variables,
  sockaddr: 'write --data IP=interface:*#ipv4 and {{ .IP }}',
  writeToFile: oneFile,
  toTOML: 'write the table with range and printf "%q", or use toJSON where the reader takes it',
  explodeMap: 'name what is meant by its path',
  mergeMap: 'go through both with range',
  mergeMapWithOverride: 'go through both with range',
  containsAll: 'write {{ and (contains …) (contains …) }}',
  containsAny: 'write {{ or (contains …) (contains …) }}',
  containsNone: 'write {{ not (or (contains …) (contains …)) }}',
  containsNotAll: 'write {{ not (and (contains …) (contains …)) }}',
  spew_dump: debugging,
  spew_printf: debugging,
  spew_sdump: debugging,
  spew_sprintf: debugging,
};

/** What the functions of Sprig are called here, where one does the same. */
const sprig: Readonly<Record<string, string>> = {
  b64dec: 'base64Decode',
  b64enc: 'base64Encode',
  default: 'or VALUE "…"',
  fromJson: 'parseJSON',
  indent: 'indent',
  lower: 'toLower',
  quote: 'printf "%q"',
  replace: 'replaceAll',
  sha256sum: 'sha256Hex',
  splitList: 'split',
  title: 'toTitle',
  toJson: 'toJSON',
  toPrettyJson: 'toJSONPretty',
  trim: 'trimSpace',
  trimPrefix: 'trimPrefix FIRST',
  trimSuffix: 'trimSuffix LAST',
  upper: 'toUpper',
};

/** What to do without a function that is not supported; undefined for a name that nobody knows. */
export function insteadOf(name: string): string | undefined {
  if (Object.hasOwn(words, name)) return `${name} is not supported: ${words[name]}`;
  if (!name.startsWith('sprig_')) return undefined;
  const own = sprig[name.slice('sprig_'.length)];
  return `${name} is not supported, as no function of Sprig is${own === undefined ? '' : `; write ${own}`}`;
}
