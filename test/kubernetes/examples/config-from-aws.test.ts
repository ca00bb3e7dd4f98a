import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';
import { podSpecOf } from '../support/manifests.ts';
import { putInSecretsManager, servicesNamespace } from '../support/services.ts';

/** What EKS's webhook adds to a pod whose service account has the annotation, and where the servers are here. */
function injectRole(example: Example): void {
  const account = example.things.find(({ kind }) => kind === 'ServiceAccount');
  const annotations = account?.metadata['annotations'] as Record<string, string>;
  const spec = podSpecOf(example.workload)!;
  const mountPath = '/var/run/secrets/eks.amazonaws.com/serviceaccount';
  const endpoint = `http://aws.${servicesNamespace}.svc:5000`;
  for (const container of spec.initContainers ?? []) {
    container.env = [
      ...(container.env ?? []),
      { name: 'AWS_REGION', value: 'eu-central-1' },
      { name: 'AWS_ROLE_ARN', value: annotations['eks.amazonaws.com/role-arn'] ?? '' },
      { name: 'AWS_WEB_IDENTITY_TOKEN_FILE', value: `${mountPath}/token` },
      { name: 'AWS_ENDPOINT_URL_STS', value: endpoint },
      { name: 'AWS_ENDPOINT_URL_SECRETS_MANAGER', value: endpoint },
    ];
    container.volumeMounts = [
      ...(container.volumeMounts ?? []),
      { name: 'aws-iam-token', mountPath, readOnly: true },
    ];
  }
  const token = { path: 'token', audience: 'sts.amazonaws.com', expirationSeconds: 86_400 };
  spec.volumes = [
    ...(spec.volumes ?? []),
    { name: 'aws-iam-token', projected: { sources: [{ serviceAccountToken: token }] } },
  ];
}

describe.skipIf(noCluster)('config-from-aws', () => {
  test('takes the role of the service account, and writes the keys of the secret to memory', async () => {
    await putInSecretsManager('prod/api', '{"password":"from AWS","account":12345678901234567890}');
    await using example = await Example.create(import.meta.filename);
    injectRole(example);
    await example.apply();
    await example.becomesReady();
    expect(await example.exec('cat', '/config/password')).toBe('from AWS');
    expect(await example.exec('cat', '/config/account')).toBe('12345678901234567890');
    expect(await example.exec('stat', '-L', '-c', '%a %g', '/config/password')).toBe('440 1000');
    expect(await example.exec('stat', '-f', '-c', '%T', '/config')).toBe('tmpfs');
    expect(await example.logs('config')).toContain('arn:aws:iam::123456789012:role/api-server');
  });

  test('without the injection: 69, and the node’s role is not asked for', async () => {
    await using example = await Example.create(import.meta.filename);
    await example.apply();
    const pod = await example.watch.until(/^Init:(Error|CrashLoopBackOff)$/);
    const words = await example.namespace.kubectl('describe', 'pod', pod);
    expect(words).toMatch(/Exit Code: +(69|2)/);
    expect(words).toMatch(/Message: +initbox fetch-config: /);
  });
});
