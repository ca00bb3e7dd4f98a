import type { Example } from './example.ts';
import { podSpecOf } from './manifests.ts';
import { servicesNamespace } from './services.ts';

const mountPath = '/var/run/secrets/eks.amazonaws.com/serviceaccount';

/**
 * What EKS's webhook adds to a pod whose service account has the annotation, and where the servers are here.
 * @param services that are asked, as the variables of the endpoints name them: `SECRETS_MANAGER`
 */
export function injectRole(example: Example, services: readonly string[]): void {
  const account = example.things.find(({ kind }) => kind === 'ServiceAccount');
  const annotations = account?.metadata['annotations'] as Record<string, string>;
  const spec = podSpecOf(example.workload)!;
  for (const container of spec.initContainers ?? []) {
    container.env = [
      ...(container.env ?? []),
      { name: 'AWS_REGION', value: 'eu-central-1' },
      { name: 'AWS_ROLE_ARN', value: annotations['eks.amazonaws.com/role-arn'] ?? '' },
      { name: 'AWS_WEB_IDENTITY_TOKEN_FILE', value: `${mountPath}/token` },
      ...['STS', ...services].map((service) => ({
        name: `AWS_ENDPOINT_URL_${service}`,
        value: `http://aws.${servicesNamespace}.svc:5000`,
      })),
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
