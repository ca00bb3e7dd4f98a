// An address whose `@` was percent-encoded, mistyped or lost does not parse as HOST[:PORT], and nothing of it is shown: what
// stands where a host should may be a password.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { runInitbox } from '../../support/program.ts';
import { quote, undoAtDeath } from '../../support/undo.ts';

const secret = 'Zq7xKw9mV';
const folder = mkdtempSync('/dev/shm/initbox-test-broken-');
undoAtDeath(`rm -rf ${quote(folder)}`);

/** What stands behind the scheme; nothing listens at 127.0.0.1:1. */
const shapes = [
  `user:${secret}%40127.0.0.1:1`,
  `user:${secret}%40127.0.0.1:1/x`,
  `user:${secret}＠127.0.0.1:1/x`,
  `user：${secret}＠127.0.0.1`,
  `user:${secret} 127.0.0.1:1/x`,
  `user:${secret}/x`,
  `user:${secret}#127.0.0.1/x`,
  `user:${secret}?127.0.0.1/x`,
  `user:x?${secret}%40127.0.0.1`,
  `user:x?a=1&${secret}%40127.0.0.1`,
  `user%3A${secret}%40127.0.0.1`,
  `user:a@${secret}%40127.0.0.1:1`,
  `user:a@${secret}:b@127.0.0.1:x`,
  `user:a/b@${secret}＠127.0.0.1`,
  `user:${secret}\\127.0.0.1`,
  `user:${secret};127.0.0.1`,
  `user:${secret},127.0.0.1:1`,
  `[user:${secret}%40127.0.0.1]:1`,
  `[::1]${secret}:1`,
  `::1:${secret}`,
  `${secret}%40127.0.0.1:1`,
  `127.0.0.1:${secret}`,
];

type Variables = Readonly<Record<string, string>>;
type Place = readonly [name: string, words: readonly string[], env?: Variables];

const fetch = (source: string): string[] => ['fetch-config', source, '--to', join(folder, 'made')];
const vault = { VAULT_TOKEN: 'hvs.x' };
const aws = {
  AWS_REGION: 'eu-central-1',
  AWS_ACCESS_KEY_ID: 'AKIA1',
  AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI',
};
const pg = { PGUSER: 'app', PGPASSWORD: 'other', PGPORT: '1' };
const get = ['wait-http', 'http://example.test/'];

let files = 0;
function file(text: string): string {
  const path = join(folder, `f${(files += 1)}`);
  writeFileSync(path, text);
  return path;
}

const kubeconfig = (cluster: Variables): string =>
  file(
    JSON.stringify({
      'current-context': 'a',
      contexts: [{ name: 'a', context: { cluster: 'a' } }],
      clusters: [{ name: 'a', cluster }],
    }),
  );

const kinds = [
  'amqp',
  'amqps',
  'grpc',
  'http',
  'https',
  'h2c',
  'influxdb',
  'kafka',
  'mongodb',
  'mongodb+srv',
  'mysql',
  'nats',
  'postgres',
  'redis',
  'rediss',
  'tcp',
  'temporal',
  'ws',
  'zookeeper',
  'ftp',
];

/** Read by the reader of another place: every fifth shape is enough for them. */
const alike = new Set([
  'wait-postgres URL',
  'database-url-file',
  'migrate',
  'direct',
  '--vault-addr',
  'HTTPS_PROXY',
  'source https',
  'sum',
  'spec',
  'wait-tcp postgres',
  'wait-dns URL',
  'INITBOX_SERVER',
  'dns kind',
  'dns server',
  'wait bare',
  'plan tcp',
  'plan wait',
  'plan http',
  'plan source',
]);

/** Everything that takes an address, by how that is written in it. */
const places = (address: string): readonly Place[] => [
  ['wait-postgres', ['wait-postgres'], { DATABASE_URL: `postgres://${address}` }],
  ['wait-postgres URL', ['wait-postgres', `postgres://${address}`]],
  ['database-url-file', ['wait-postgres', '--database-url-file', file(`postgres://${address}`)]],
  ['PGHOST', ['wait-postgres'], { ...pg, PGHOST: address }],
  ['PGHOSTADDR', ['wait-postgres'], { ...pg, PGHOST: 'a', PGHOSTADDR: address }],
  ['host=', ['wait-postgres', `postgres:///a?user=u&host=${encodeURIComponent(address)}`]],
  ['hostaddr=', ['wait-postgres', `postgres://u@h/a?hostaddr=${encodeURIComponent(address)}`]],
  ['port=', ['wait-postgres', `postgres://u@h/a?port=${encodeURIComponent(address)}`]],
  ['migrate', ['migrate-with-lock', '--', 'true'], { DATABASE_URL: `postgres://${address}` }],
  [
    'direct',
    ['migrate-with-lock', '--', 'true'],
    { DATABASE_URL: 'postgres://a@127.0.0.1:1/a', DIRECT_DATABASE_URL: `postgres://${address}` },
  ],
  ['VAULT_ADDR', fetch('vault:a/b'), { ...vault, VAULT_ADDR: `http://${address}` }],
  ['VAULT_ADDR bare', fetch('vault:a/b'), { ...vault, VAULT_ADDR: address }],
  ['--vault-addr', [...fetch('vault:a/b'), '--vault-addr', `https://${address}`], vault],
  ['AWS_ENDPOINT_URL', fetch('aws-sm:x'), { ...aws, AWS_ENDPOINT_URL: `http://${address}` }],
  ['STS', fetch('aws-sm:x'), { ...aws, AWS_ENDPOINT_URL_STS: `http://${address}` }],
  ['HTTP_PROXY', get, { HTTP_PROXY: `http://${address}` }],
  ['HTTP_PROXY bare', get, { HTTP_PROXY: address }],
  ['HTTPS_PROXY', ['wait-http', 'https://example.test/'], { HTTPS_PROXY: `http://${address}` }],
  ['wait-http', ['wait-http', `http://${address}`]],
  ['wait-http bare', ['wait-http', address]],
  ['wait-http http:', ['wait-http', `http:${address}`]],
  ['source', fetch(`http://${address}`)],
  ['source bare', fetch(address)],
  ['source https', fetch(`https://${address}`)],
  ['sum', [...fetch('http://127.0.0.1:1/x'), '--sha256', `https://${address}`]],
  [
    'spec',
    [
      'fetch-config',
      '--spec',
      file(JSON.stringify({ outputs: [{ to: '/dev/shm/x', sources: [`http://${address}`] }] })),
    ],
  ],
  ['render', ['render', file('a'), '--to', join(folder, 'out'), '--source', `http://${address}`]],
  ['wait-tcp', ['wait-tcp', address]],
  ['wait-tcp URL', ['wait-tcp', `http://${address}`]],
  ['wait-tcp postgres', ['wait-tcp', `postgres://${address}`]],
  ['wait-tcp -', ['wait-tcp', '--', `-${address}`]],
  ['wait-tcp unix', ['wait-tcp', `unix:${address}`]],
  ['wait-tcp jdbc', ['wait-tcp', `jdbc:postgresql://${address}`]],
  ['wait-dns', ['wait-dns', address]],
  ['wait-dns URL', ['wait-dns', `http://${address}`]],
  ['--service', ['wait-dns', '--service', address]],
  ['--server', ['wait-dns', 'a', '--server', address]],
  ['INITBOX_SERVER', ['wait-dns', 'a'], { INITBOX_SERVER: address }],
  ['dns kind', ['wait', `dns:${address}`]],
  ['dns server', ['wait', `dns:a?server=${encodeURIComponent(address)}`]],
  ['--tls-server-name', [...get, '--tls-server-name', address]],
  ['wait bare', ['wait', address]],
  // The same reader reads the rest of what stands behind their hosts.
  ...(shapes.indexOf(address) % 5 === 0 ? kinds : ['redis', 'mongodb', 'kafka']).map((kind): Place => [
    kind,
    ['wait', `${kind}://${address}`],
  ]),
  ['kubeconfig', ['wait-kubernetes', 'pod/a', '--kubeconfig', kubeconfig({ server: `https://${address}` })]],
  [
    'proxy-url',
    [
      'wait-kubernetes',
      'pod/a',
      '--kubeconfig',
      kubeconfig({ server: 'https://127.0.0.1:1', 'proxy-url': `http://${address}` }),
    ],
  ],
  ['service host', ['wait-kubernetes', 'pod/a'], { KUBERNETES_SERVICE_HOST: address }],
  ['plan tcp', ['run', file(plan(`{uses: wait-tcp, targets: [${JSON.stringify(address)}]}`))]],
  ['plan wait', ['run', file(plan(`{uses: wait, targets: [${JSON.stringify(`redis://${address}`)}]}`))]],
  ['plan http', ['run', file(plan(`{uses: wait-http, urls: [${JSON.stringify(`http://${address}`)}]}`))]],
  [
    'plan source',
    [
      'run',
      file(plan(`{uses: fetch-config, to: /dev/shm/x, sources: [${JSON.stringify(`http://${address}`)}]}`)),
    ],
  ],
];

function plan(step: string): string {
  return `steps:\n  - ${step.replace('{', '{name: a, ')}\n`;
}

/** What a shape makes a whole address of, elsewhere than in its host: a database, a path, a parameter. */
async function shown([name, words, env]: Place): Promise<string | undefined> {
  const dashes = words.indexOf('--');
  const end = dashes < 0 ? words.length : dashes;
  const timed = [...words.slice(0, end), '--timeout', '100ms', ...words.slice(end)];
  const { status, stderr, stdout } = await runInitbox(timed, env && { env });
  if (status === 1) return `${name}: ${status} ${stderr}`;
  const text = `${stdout}${stderr}`.toLowerCase();
  return text.includes(secret.toLowerCase()) ? `${name}: ${status} ${stderr}` : undefined;
}

test.each(shapes)('%s is shown nowhere', async (shape) => {
  const found: string[] = [];
  const some = shapes.indexOf(shape) % 5 !== 0;
  const left = places(shape).filter(([name]) => !some || !alike.has(name));
  await Promise.all(
    [1, 2, 3, 4].map(async () => {
      for (let place = left.shift(); place !== undefined; place = left.shift()) {
        const one = await shown(place);
        if (one !== undefined) found.push(one);
      }
    }),
  );
  expect(found).toEqual([]);
});
