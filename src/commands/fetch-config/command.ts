import { isTree, parseSource } from '../../config/source.ts';
import { defineCommand, each } from '../../core/command.ts';
import { checkFetchConfig } from './check.ts';
import { fetchOptions } from './options.ts';
import { rightsOfFetchConfig } from './rights.ts';
import { runFetchConfig } from './run.ts';

const positionals = {
  usage: 'SOURCE…',
  name: 'sources',
  description: 'SCHEME:PATH?options#FIELD; several are merged in their order',
  parse: each('source', parseSource, { min: 0, example: 'vault:secret/api-server#config' }),
};

export const fetchConfig = defineCommand({
  name: 'fetch-config',
  summary: 'fetch secrets and configuration into files or the environment',
  description: `Reads sources and writes them as files, all or nothing: a reader never sees half of one, or two versions mixed. Secrets go to memory (tmpfs) only, unless --allow-disk. It waits through faults that can pass (a sealed Vault, a refused connection, too many requests), and ends at once on those that cannot, with the cause and what to change.

Sources: vault:PATH[?version=N][#FIELD], aws-sm:NAME-or-ARN[?stage=NAME&version=ID][#FIELD], aws-ssm:NAME-or-PATH/[?version=N&label=NAME][#FIELD], s3://BUCKET/KEY[?version=ID&region=NAME][#FIELD] or s3://BUCKET/PREFIX/, gcp-sm:[PROJECT/]NAME[?version=N][#FIELD], gs://BUCKET/OBJECT[?version=N][#FIELD] or gs://BUCKET/PREFIX/, azure-kv:VAULT/NAME[?version=ID][#FIELD], azure-blob://ACCOUNT/CONTAINER/BLOB[?version=ID][#FIELD] or azure-blob://ACCOUNT/CONTAINER/PREFIX/, kubernetes:secret/[NAMESPACE/]NAME[#KEY] and kubernetes:configmap/…, https:// and http:// URLs [#FIELD], file:/PATH[#FIELD], env:NAME or env:PREFIX*, dns:NAME[?type=A&min=N&join=TEXT], interface:NAME[#FIELD], ordinal:VARIABLE[?plus=N], time:FORM. A tree of files: git+https://HOST/REPOSITORY[#REF][:PATH] or git+ssh://USER@HOST/….`,
  examples: [
    'initbox fetch-config vault:secret/api-server#config --to /config/app.conf --vault-role api-server',
    'initbox fetch-config vault:secret/api-server --to /config/app.env --format dotenv --vault-role api-server',
    'initbox fetch-config vault:secret/api-server --to /env/app.env --format env-file --vault-role api-server',
    'initbox fetch-config vault:secret/api-server --env --vault-role api-server -- ./server',
    'initbox fetch-config aws-sm:prod/api --to /config --format files',
    'initbox fetch-config aws-ssm:/app/key --to /config/key',
    'initbox fetch-config gcp-sm:shop-prod/api --to /config/api.json',
    'initbox fetch-config gs://bucket/config/ --to /config',
    'initbox fetch-config azure-kv:shop/api --to /config/api.json',
    'initbox fetch-config azure-blob://shop/config/ --to /config',
    'initbox fetch-config kubernetes:secret/tls-cert#tls.crt --to /certs/tls.crt',
    'initbox fetch-config s3://bucket/config/ --to /config',
    'initbox fetch-config https://config.internal/app.yaml --sha256 HEX --to /config/app.yaml',
    'initbox fetch-config https://releases.internal/site.tar.gz --sha256 HEX --unpack --to /site',
    'initbox fetch-config git+https://git.internal/acme/site#v1.2:public --to /site',
    'initbox fetch-config --spec /etc/initbox/fetch.yaml',
  ],
  positionals,
  options: fetchOptions,
  afterDashes: 'successor',
  timeout: '5m',
  longWork: { limit: 60 * 60_000, asked: ({ unpack }, given) => unpack || (given?.some(isTree) ?? false) },
  schemas: {
    'fetch-spec': async () => (await import('./spec.schema.json', { with: { type: 'json' } })).default,
  },
  check: checkFetchConfig,
  rights: rightsOfFetchConfig,
  run: runFetchConfig,
});
