import { parseSource } from '../../config/source.ts';
import { defineCommand, each } from '../../core/command.ts';
import { checkFetchConfig } from './check.ts';
import { fetchOptions } from './options.ts';
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

Sources: vault:PATH[?version=N][#FIELD], aws-sm:NAME-or-ARN[?stage=NAME&version=ID][#FIELD], https:// and http:// URLs [#FIELD], file:/PATH[#FIELD], env:NAME or env:PREFIX*.`,
  examples: [
    'initbox fetch-config vault:secret/api-server#config --to /config/app.conf --vault-role api-server',
    'initbox fetch-config vault:secret/api-server --to /config/app.env --format dotenv --vault-role api-server',
    'initbox fetch-config vault:secret/api-server --to /env/app.env --format env-file --vault-role api-server',
    'initbox fetch-config vault:secret/api-server --env --vault-role api-server -- ./server',
    'initbox fetch-config aws-sm:prod/api --to /config --format files',
    'initbox fetch-config https://config.internal/app.yaml --sha256 HEX --to /config/app.yaml',
    'initbox fetch-config https://releases.internal/site.tar.gz --sha256 HEX --unpack --to /site',
    'initbox fetch-config --spec /etc/initbox/fetch.yaml',
  ],
  positionals,
  options: fetchOptions,
  afterDashes: 'successor',
  timeout: '5m',
  longWork: { limit: 60 * 60_000, asked: ({ unpack }) => unpack },
  schemas: {
    'fetch-spec': async () => (await import('./spec.schema.json', { with: { type: 'json' } })).default,
  },
  check: checkFetchConfig,
  run: runFetchConfig,
});
