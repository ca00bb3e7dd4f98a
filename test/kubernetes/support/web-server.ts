import { imageFor } from './images.ts';
import type { Thing } from './kubectl.ts';
import { server } from './services.ts';

export interface WebServer {
  port: number;
  /** The content of `server { … }`. */
  config: string;
  /** Files of its folder /content. */
  content: Record<string, string | Uint8Array>;
  /** Files of its folder /tls. */
  tls?: Record<string, string>;
}

/** An nginx that serves what is given. */
export function webServer(name: string, { port, config, content, tls = {} }: WebServer): Thing[] {
  const binaryData = Object.fromEntries(
    Object.entries(content).map(([file, bytes]) => [file, Buffer.from(bytes).toString('base64')]),
  );
  return [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `${name}-content` }, binaryData },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: `${name}-nginx` },
      data: {
        'default.conf': `server {\n  listen ${port}${'tls.crt' in tls ? ' ssl' : ''};\n${config}\n}\n`,
      },
    },
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: `${name}-tls` }, stringData: tls },
    ...server(
      name,
      port,
      {
        image: imageFor('nginxinc/nginx-unprivileged:1.29'),
        readinessProbe: { tcpSocket: { port }, periodSeconds: 1 },
        volumeMounts: [
          { name: 'content', mountPath: '/content' },
          { name: 'nginx', mountPath: '/etc/nginx/conf.d' },
          { name: 'tls', mountPath: '/tls' },
        ],
      },
      {
        volumes: [
          { name: 'content', configMap: { name: `${name}-content` } },
          { name: 'nginx', configMap: { name: `${name}-nginx` } },
          { name: 'tls', secret: { secretName: `${name}-tls` } },
        ],
      },
    ),
  ];
}
