import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canUseNetns, createNetnsPair, type NetnsPair } from '../../../support/netns.ts';
import { runToDeadline } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { undoAtDeath } from '../../../support/undo.ts';

describe.skipIf(requireOrSkip('a pod with a hosts file', canUseNetns()))("a pod's own name", () => {
  let pair: NetnsPair;
  let folder: string;
  let undo: ReturnType<typeof undoAtDeath>;

  beforeAll(() => {
    pair = createNetnsPair();
    // ip-netns(8): what is in this folder is what /etc has in the namespace.
    folder = join('/etc/netns', pair.a.name);
    undo = undoAtDeath(`rm -rf ${folder}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, 'hosts'),
      `127.0.0.1 localhost\n${pair.a.address} vault vault-0.peers.shop.svc.cluster.local\n${pair.b.address} elsewhere\n`,
    );
    writeFileSync(
      join(folder, 'resolv.conf'),
      'search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 127.0.0.1\n',
    );
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
    undo.forget();
    pair.remove();
  });

  const run = (args: readonly string[], env: Record<string, string> = {}) =>
    runToDeadline(args, { prefix: pair.a.prefix, env });

  test.each([
    ['wait-tcp', ['vault:8200'], {}],
    ['wait-http', ['http://vault:8200'], {}],
    ['wait-postgres', ['postgres://app@vault/app'], {}],
    ['wait', ['redis://vault', 'amqp://vault', 'grpc://vault:9090'], {}],
    ['fetch-config', ['http://vault:8200/x', '--to', '/dev/shm/initbox-own-name'], {}],
    [
      'fetch-config',
      ['vault:secret/app#key', '--to', '/dev/shm/initbox-own-name'],
      { VAULT_ADDR: 'http://vault:8200', VAULT_TOKEN: 'a-token' },
    ],
    ['migrate-with-lock', ['--', 'true'], { DATABASE_URL: 'postgres://app@vault/app' }],
  ])('%s %j says that it is the pod’s own, and what to write', async (command, rest, env) => {
    const { status, stderr } = await run([command, '--timeout', '2s', ...rest], env);
    expect(stderr).toContain(
      `hint: the hosts file gives vault this pod's own address (${pair.a.address}), as it does with a pod's own name: for a Service of that name, write vault.shop`,
    );
    expect(stderr).not.toContain('nothing listens there yet');
    expect(status).toBe(124);
  });

  test.each([
    ['wait-tcp', ['vault.:8200']],
    ['wait-http', ['http://vault.:8200']],
    ['wait', ['redis://vault.', 'grpc://vault.:9090']],
  ])('%s %j: a name with a final dot is that name', async (command, targets) => {
    const { stderr } = await run([command, '--timeout', '2s', ...targets]);
    expect(stderr).toContain(
      `hint: the hosts file gives vault. this pod's own address (${pair.a.address}), as it does with a pod's own name: for a Service of that name, write vault.shop`,
    );
    expect(stderr).not.toContain('vault..');
  });

  test('a full name with a final dot has no namespace to add either', async () => {
    const { stderr } = await run([
      'wait-tcp',
      '--timeout',
      '2s',
      'vault-0.peers.shop.svc.cluster.local.:8200',
    ]);
    expect(stderr).toContain('for another host, name it otherwise');
  });

  test('a full name of its own has no namespace to add', async () => {
    const { stderr } = await run([
      'wait-tcp',
      '--timeout',
      '2s',
      'vault-0.peers.shop.svc.cluster.local:8200',
    ]);
    expect(stderr).toContain('for another host, name it otherwise');
  });

  test.each(['elsewhere:8200', 'localhost:8200', '127.0.0.1:8200'])(
    '%s is not, and gets the usual hint',
    async (target) => {
      const { stderr } = await run(['wait-tcp', '--timeout', '2s', target]);
      expect(stderr).toContain('nothing listens there yet');
      expect(stderr).not.toContain('own address');
    },
  );
});
