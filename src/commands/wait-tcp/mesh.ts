import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Endpoint } from '../../clients/connection/endpoint.ts';
import { isIP } from '../../clients/dns/ip-address.ts';
import type { Context } from '../../core/context.ts';

interface Mesh {
  readonly name: string;
  /** That its proxy listens on in the pod's network, for what goes out and what comes in. */
  readonly ports: readonly [outbound: number, inbound: number];
  /** The user whose connections it leaves alone. */
  readonly exempt: number;
}

/**
 * Istio with sidecars or ambient (https://istio.io/latest/docs/ops/deployment/application-requirements/), Linkerd
 * (https://linkerd.io/2/reference/proxy-configuration/), Consul (https://developer.hashicorp.com/consul/docs/k8s).
 */
const meshes: readonly Mesh[] = [
  { name: 'Istio', ports: [15_001, 15_006], exempt: 1337 },
  { name: 'Linkerd', ports: [4140, 4143], exempt: 2102 },
  { name: 'Consul', ports: [15_001, 20_000], exempt: 5995 },
];

/** The mesh whose proxy listens in this network namespace; undefined where nothing shows one. */
export function meshHere(folder: string): Mesh | undefined {
  const ports = new Set([...listening(join(folder, 'tcp')), ...listening(join(folder, 'tcp6'))]);
  return meshes.find((mesh) => mesh.ports.every((port) => ports.has(port)));
}

/** State of a socket that listens, in proc(5). */
const listen = '0A';

function listening(file: string): readonly number[] {
  let lines: string[];
  try {
    lines = readFileSync(file, 'latin1').split('\n').slice(1);
  } catch {
    return [];
  }
  return lines.flatMap((line) => {
    const [, local = '', , state] = line.trim().split(/\s+/);
    return state === listen ? [Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16)] : [];
  });
}

/** Where it was warned already: targets of one wait each have a context, and the places of the system in common. */
const warned = new WeakSet<Context['paths']>();

/** Warns once where a port that is open may be a mesh's proxy's, which accepts whatever becomes of the server. */
export function warnOfMesh(endpoint: Endpoint, context: Pick<Context, 'paths' | 'log' | 'host'>): void {
  if (endpoint.kind === 'unix' || isLoopback(endpoint.host) || warned.has(context.paths)) return;
  warned.add(context.paths);
  const mesh = meshHere(context.paths.network);
  if (mesh === undefined || mesh.exempt === context.host.uid) return;
  context.log.warn(
    `a proxy of ${mesh.name} listens in this pod (ports ${mesh.ports.join(' and ')}) and may accept connections for servers that are down: an open port may mean nothing; ask the server itself (wait postgres://…, redis://…, http://…), or let the connection stay open for a while (--hold 1s)`,
  );
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
