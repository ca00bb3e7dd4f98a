// The servers that the examples need, once for all tests, inside the cluster: a database server, a Vault that reviews
// tokens with the API server, AWS Secrets Manager. Each under the restricted profile.
import { createCertificateAuthority } from '../../support/tls.ts';
import { imageFor } from './images.ts';
import { apply, get, kubectl, kubectlWith, type Thing } from './kubectl.ts';
import { Namespace, type Pod } from './namespace.ts';

export const servicesNamespace = 'initbox-test-services';
const reviewers = 'initbox-test-token-review';

/** What every container of the tests' own servers has. */
export const restrictedContainer = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
};
export const restrictedPod = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } };

/** A Deployment of one pod and its Service. */
export function server(
  name: string,
  port: number,
  container: Record<string, unknown>,
  pod: Record<string, unknown> = {},
): Thing[] {
  const labels = { app: name };
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name },
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            terminationGracePeriodSeconds: 1,
            automountServiceAccountToken: name === 'vault',
            enableServiceLinks: false,
            ...pod,
            securityContext: { ...restrictedPod, ...(pod['securityContext'] as object | undefined) },
            containers: [
              { name, imagePullPolicy: 'IfNotPresent', securityContext: restrictedContainer, ...container },
            ],
          },
        },
      },
    },
    service(name, port),
  ];
}

export function service(name: string, port: number): Thing {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { app: name }, ports: [{ port }] },
  };
}

/** Deploys all of them and waits until they serve. */
export async function deployServices(): Promise<AsyncDisposable> {
  const namespace = await Namespace.named(servicesNamespace, 'restricted');
  using authority = await createCertificateAuthority();
  const vaultNames = [`vault.${servicesNamespace}.svc`, 'localhost'];
  const { certificate, key } = await authority.server(vaultNames);
  await namespace.apply([
    ...server(
      'postgres',
      5432,
      {
        image: imageFor('postgres:18'),
        args: ['-c', 'max_connections=200', '-c', 'fsync=off'],
        env: ['POSTGRES_PASSWORD', 'PGPASSWORD'].map((name) => ({ name, value: 'example' })),
        readinessProbe: probe('psql', '-h', '127.0.0.1', '-U', 'postgres', '-c', 'select 1'),
      },
      { securityContext: { runAsUser: 999 } },
    ),
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'vault-tls' },
      stringData: {
        'tls.crt': certificate,
        'tls.key': key,
        'tls.hcl':
          'disable_mlock = true\nlistener "tcp" {\n  address = "0.0.0.0:8200"\n  tls_cert_file = "/tls/tls.crt"\n  tls_key_file = "/tls/tls.key"\n}\n',
      },
    },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'vault-ca' },
      data: { 'ca.crt': authority.certificate },
    },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'vault' } },
    ...server(
      'vault',
      8200,
      {
        image: imageFor('openbao/openbao:2'),
        command: ['bao', 'server', '-dev', '-dev-no-store-token', '-dev-root-token-id=root'],
        args: ['-dev-listen-address=127.0.0.1:8210', '-config=/tls/tls.hcl'],
        env: [
          { name: 'BAO_ADDR', value: 'http://127.0.0.1:8210' },
          { name: 'BAO_TOKEN', value: 'root' },
          { name: 'HOME', value: '/tmp' },
        ],
        volumeMounts: [{ name: 'tls', mountPath: '/tls', readOnly: true }],
        readinessProbe: probe('bao', 'status'),
      },
      {
        serviceAccountName: 'vault',
        securityContext: { runAsUser: 1000 },
        volumes: [{ name: 'tls', secret: { secretName: 'vault-tls' } }],
      },
    ),
    ...server(
      'aws',
      5000,
      {
        image: imageFor('motoserver/moto:5'),
        env: [
          { name: 'HOME', value: '/tmp' },
          // It would take the first part of its own name for a bucket's.
          { name: 'S3_IGNORE_SUBDOMAIN_BUCKETNAME', value: 'true' },
        ],
        readinessProbe: { tcpSocket: { port: 5000 }, periodSeconds: 1 },
      },
      { securityContext: { runAsUser: 1000 } },
    ),
  ]);
  await apply([
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: reviewers },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:auth-delegator' },
      subjects: [{ kind: 'ServiceAccount', name: 'vault', namespace: servicesNamespace }],
    },
  ]);
  await Promise.all(['postgres', 'vault', 'aws'].map((name) => namespace.rolledOut(`deployment/${name}`)));
  await bao('auth', 'enable', 'kubernetes');
  await bao('write', 'auth/kubernetes/config', 'kubernetes_host=https://kubernetes.default.svc');
  return {
    async [Symbol.asyncDispose]() {
      await namespace[Symbol.asyncDispose]();
      await kubectl('delete', 'clusterrolebinding', reviewers, '--ignore-not-found');
    },
  };
}

function probe(...command: readonly string[]): object {
  return { exec: { command }, periodSeconds: 1, timeoutSeconds: 5 };
}

/** Runs a command beside a server, with something on its standard input. */
function inside(what: string, input: string, command: readonly string[]): Promise<string> {
  return kubectlWith(input, 'exec', '-i', '-n', servicesNamespace, `deploy/${what}`, '--', ...command);
}

/** Runs Vault's own client, as root. */
export function bao(...args: readonly string[]): Promise<string> {
  return inside('vault', '', ['bao', ...args]);
}

/** A secret, and leave for a service account `api-server` of a namespace to read it, as the example says. */
export async function allowInVault(
  namespace: string,
  secret: Readonly<Record<string, string>>,
): Promise<void> {
  await inside('vault', JSON.stringify(secret), ['bao', 'kv', 'put', 'secret/api-server', '-']);
  const policy = 'path "secret/data/api-server" { capabilities = ["read"] }';
  await inside('vault', policy, ['bao', 'policy', 'write', 'api-server', '-']);
  const role = [
    'bound_service_account_names=api-server',
    `bound_service_account_namespaces=${namespace}`,
    'audience=vault',
    'token_policies=api-server',
    'token_ttl=10m',
  ];
  await bao('write', 'auth/kubernetes/role/api-server', ...role);
}

/** A secret of AWS Secrets Manager. */
export async function putInSecretsManager(name: string, text: string): Promise<void> {
  await inAws(
    'secretsmanager',
    'client.create_secret(Name=sys.argv[1], SecretString=sys.argv[2])',
    name,
    text,
  );
}

/** A new bucket with these objects. */
export async function fillBucket(name: string, objects: Readonly<Record<string, string>>): Promise<void> {
  const script = `name, objects = sys.argv[1], json.loads(sys.argv[2])
client.create_bucket(Bucket=name, CreateBucketConfiguration={'LocationConstraint': 'eu-central-1'})
for key, text in objects.items():
    client.put_object(Bucket=name, Key=key, Body=text.encode())`;
  await inAws('s3', script, name, JSON.stringify(objects));
}

/** SecureStrings of AWS Parameter Store. */
export async function putParameters(parameters: Readonly<Record<string, string>>): Promise<void> {
  const script = `for name, value in json.loads(sys.argv[1]).items():
    client.put_parameter(Name=name, Value=value, Type='SecureString', Overwrite=True)`;
  await inAws('ssm', script, JSON.stringify(parameters));
}

/** Runs Python beside the server of AWS, with a `client` of one service. */
async function inAws(client: string, script: string, ...args: readonly string[]): Promise<void> {
  const begin = `import boto3, json, sys
client = boto3.client('${client}', 'eu-central-1', endpoint_url='http://127.0.0.1:5000',
                      aws_access_key_id='example', aws_secret_access_key='example')
`;
  await inside('aws', '', ['python3', '-c', begin + script, ...args]);
}

/** The authority of Vault's certificate, as the ConfigMap that the examples mount. */
export async function vaultAuthority(): Promise<Thing> {
  const found = await get<{ data: Record<string, string> }>('configmap', 'vault-ca', '-n', servicesNamespace);
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'vault-ca' }, data: found.data };
}

/** A database of its own on the shared server. */
export class Database {
  readonly name: string;
  readonly namespace: Namespace;

  constructor(name: string, namespace: Namespace) {
    this.name = name;
    this.namespace = namespace;
  }

  static async create(namespace: Namespace): Promise<Database> {
    const name = namespace.name.replaceAll('-', '_');
    await psql('postgres', `drop database if exists ${name} with (force)`);
    await psql('postgres', `create database ${name}`);
    return new Database(name, namespace);
  }

  /** Runs SQL as superuser; rows as `a|b`. */
  sql(text: string): Promise<string> {
    return psql(this.name, text);
  }

  url(host = 'postgres-service', password = 'example'): string {
    return `postgres://postgres:${password}@${host}:5432/${this.name}`;
  }

  /** The Secret with its URL, as the examples name it. */
  secret(name = 'postgres', url = this.url()): Thing {
    return { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: { url } };
  }

  /** The Service `postgres-service` in the namespace of the example, which leads to the shared server. */
  async service(): Promise<Thing[]> {
    const { items } = await get<{ items: Pod[] }>('pods', '-n', servicesNamespace, '-l', 'app=postgres');
    const address = items[0]?.status.podIP;
    if (address === undefined) throw new Error('the database server has no address');
    const name = 'postgres-service';
    return [
      { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { ports: [{ port: 5432 }] } },
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name, labels: { 'kubernetes.io/service-name': name } },
        addressType: address.includes(':') ? 'IPv6' : 'IPv4',
        ports: [{ port: 5432, protocol: 'TCP' }],
        endpoints: [{ addresses: [address], conditions: { ready: true } }],
      },
    ];
  }
}

function psql(database: string, text: string): Promise<string> {
  const words = [
    'psql',
    '-h',
    '127.0.0.1',
    '-U',
    'postgres',
    '-d',
    database,
    '-v',
    'ON_ERROR_STOP=1',
    '-AtXq',
  ];
  return inside('postgres', text, words);
}
