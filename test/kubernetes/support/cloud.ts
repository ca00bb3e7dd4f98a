// What a cloud's services answer, said by an nginx: the documented protocol, as far as it goes, and nothing about what the
// cloud itself makes of a request.
import { createCertificateAuthority } from '../../support/tls.ts';
import type { Example } from './example.ts';
import type { Thing } from './kubectl.ts';
import { podSpecOf } from './manifests.ts';
import { webServer } from './web-server.ts';

export interface CloudAnswer {
  readonly path: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The token without which it is refused. */
  readonly token?: string;
}

const port = 8443;
const folder = '/ca';

/** A server of these answers over TLS, and its authority where `useCloud` has the example's containers look for it. */
export async function cloud(name: string, answers: readonly CloudAnswer[]): Promise<Thing[]> {
  using authority = await createCertificateAuthority();
  const { certificate, key } = await authority.server([name]);
  const content = Object.fromEntries(answers.map(({ body }, index) => [`${index}`, body]));
  return [
    ...webServer(name, {
      port,
      config: `  ssl_certificate /tls/tls.crt;
  ssl_certificate_key /tls/tls.key;
  etag off;
${answers.map(locations).join('\n')}`,
      content,
      tls: { 'tls.crt': certificate, 'tls.key': key },
    }),
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: `${name}-ca` },
      data: { 'ca.crt': authority.certificate },
    },
  ];
}

/** One place that is asked, and one behind it: nginx compares If-Match with what it thinks the ETag is, and takes no POST for a file. */
function locations({ path, headers = {}, token }: CloudAnswer, index: number): string {
  const added = Object.entries(headers).map(([name, value]) => `    add_header ${name} '${value}';`);
  return `  location = ${path} {
    ${token === undefined ? '' : `if ($http_authorization != "Bearer ${token}") { return 401; }`}
    proxy_method GET;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_set_header If-Match "";
    proxy_pass https://127.0.0.1:${port}/answer/${index};
  }
  location = /answer/${index} {
    default_type application/octet-stream;
${added.join('\n')}
    alias /content/${index};
  }`;
}

/** Has the example's init containers ask that server, by these variables. */
export function useCloud(example: Example, name: string, variables: Readonly<Record<string, string>>): void {
  const spec = podSpecOf(example.workload)!;
  const all = { INITBOX_CA_FILE: `${folder}/ca.crt`, ...variables };
  for (const container of spec.initContainers ?? []) {
    container.env = [
      ...(container.env ?? []),
      ...Object.entries(all).map(([variable, value]) => ({ name: variable, value })),
    ];
    container.volumeMounts = [
      ...(container.volumeMounts ?? []),
      { name: `${name}-ca`, mountPath: folder, readOnly: true },
    ];
  }
  spec.volumes = [...(spec.volumes ?? []), { name: `${name}-ca`, configMap: { name: `${name}-ca` } }];
}

export const cloudUrl = (name: string): string => `https://${name}:${port}`;
