import { password } from './database.ts';

/** A run of the program that does what pods do with it, so that V8 compiles what they need. */
export interface Run {
  readonly words: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly status: number;
  /** All of the files that it loads is compiled, where the run itself cannot go far. */
  readonly whole?: boolean;
  /** What it calls of program.js is compiled as well, though wait-tcp calls it not: secrets, and what many commands do. */
  readonly more?: boolean;
}

/** Where the servers listen that stand in for those that pods ask. */
export interface Servers {
  /** The server of answers.ts. */
  readonly web: number;
  /** The server of database.ts. */
  readonly database: number;
}

/**
 * One run for each file of the program that is worth it. The first run that loads a file is the one whose code is kept,
 * so that wait-tcp, the quickest, comes first; of program.js, what two others call is added, which costs wait-tcp 0.2 ms
 * and saves each of them 5 ms.
 */
export function runs({ web, database }: Servers, folder: string): readonly Run[] {
  const here = `127.0.0.1:${web}`;
  const vault = { VAULT_ADDR: `http://${here}`, VAULT_TOKEN: 'token' };
  const aws = {
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'key',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://${here}`,
  };
  const own = `${process.getuid?.() ?? 0}`;
  const databaseUrl = `postgres://user:${password}@127.0.0.1:${database}/app`;
  // Nothing listens on port 1.
  const nowhere = { DATABASE_URL: 'postgres://user@127.0.0.1:1/app' };
  const others = [
    'redis://',
    'mysql://user@',
    'nats://',
    'zookeeper://',
    'amqp://',
    'kafka://',
    'mongodb://',
    'grpc://',
    'ws://',
  ];
  const plan = {
    steps: [
      { name: 'port', uses: 'wait-tcp', targets: here },
      { name: 'owner', uses: 'chown', owner: own, paths: `${folder}/tree`, needs: 'port' },
    ],
  };
  const storePassword = ['--password-env', 'STORE_PASSWORD'];
  const to = (name: string): string[] => ['--to', `${folder}/${name}`, '--allow-disk'];
  return [
    { words: ['wait-tcp', here], status: 0 },
    { words: ['wait-tcp', here, '--', `${folder}/nowhere`], status: 127, whole: true },
    {
      words: ['fetch-config', 'vault:secret/app#key', ...to('vault')],
      environment: vault,
      status: 0,
      more: true,
    },
    { words: ['fetch-config', 'aws-sm:app', '--format', 'json', ...to('aws')], environment: aws, status: 0 },
    { words: ['wait-http', `http://${here}/`], status: 0 },
    { words: ['wait-postgres'], environment: { DATABASE_URL: databaseUrl }, status: 0, more: true },
    { words: ['wait', here, `http://${here}/`, `file:${folder}`], status: 0 },
    { words: ['wait', databaseUrl], status: 0 },
    {
      words: ['wait', ...others.map((before) => `${before}127.0.0.1:1`), '--timeout', '300ms'],
      status: 124,
      whole: true,
    },
    {
      words: ['migrate-with-lock', '--timeout', '300ms', '--', 'true'],
      environment: nowhere,
      status: 124,
      whole: true,
    },
    { words: ['chown', own, `${folder}/tree`], status: 0 },
    { words: ['files', `mode:a+rX:${folder}/tree`], status: 0 },
    { words: ['sysctl', 'kernel.ostype=Linux'], status: 0 },
    { words: ['copy', `${folder}/tree`, `${folder}/copied`], status: 0 },
    {
      words: ['render', `${folder}/tree/template`, '--var', 'NAME=value', '--to', `${folder}/env`],
      status: 0,
    },
    {
      words: ['render', `${folder}/tree/template`, '--language', 'liquid', '--to', `${folder}/liquid`],
      status: 0,
    },
    {
      words: [
        'trust',
        '--system',
        '--bundle',
        `${folder}/ca.crt`,
        '--pkcs12',
        `${folder}/ca.p12`,
        ...storePassword,
      ],
      environment: { STORE_PASSWORD: 'changeit' },
      status: 0,
    },
    { words: ['certificate', 'shop.test', '--to', `${folder}/tls`, '--allow-disk'], status: 0 },
    { words: ['run'], environment: { INITBOX_PLAN: JSON.stringify(plan) }, status: 0 },
    { words: ['help', 'run'], status: 0 },
  ];
}
