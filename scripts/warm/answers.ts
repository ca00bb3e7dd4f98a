import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a Vault with one secret answers, what AWS Secrets Manager does, and anything else for wait-http. */
const answers: Readonly<Record<string, object>> = {
  '/v1/sys/internal/ui/mounts/secret/app': {
    data: { path: 'secret/', type: 'kv', options: { version: '2' } },
  },
  '/v1/secret/data/app': { data: { data: { key: 'value' }, metadata: { version: 1 } } },
  '/': { Name: 'app', VersionId: 'v', SecretString: '{"key":"value"}' },
};

/** A server on loopback that answers as the servers do that pods ask. */
export async function startAnswers(): Promise<{ readonly port: number; readonly server: Server }> {
  const server = createServer((request, response) => {
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(answers[request.url ?? ''] ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, server };
}
