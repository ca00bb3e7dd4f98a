import { parseSource, type SourceAddress } from '../../../config/source.ts';
import { isWebUrl } from '../../../core/web-url.ts';
import type { TemplateScene } from './function.ts';
import { ValueFault } from './values.ts';

/** Paths of Vault and of files are no credentials. */
const nothingSecret = (): void => {};

function parsed(text: string, secret: (value: string) => void = nothingSecret): SourceAddress {
  try {
    return parseSource(text, secret);
  } catch (error) {
    throw new ValueFault((error as Error).message, { cause: error });
  }
}

/**
 * What `secret` reads: a path of Vault's API, with or without the `data/` of a KV version 2 engine.
 * @param writes what is sent to a path that makes something; undefined where it is read
 * @throws ValueFault
 */
export function secretAddress(
  given: string,
  writes: readonly (readonly [key: string, value: string])[] | undefined,
): SourceAddress {
  const [, path = '', query] = /^\s*\/*([^?]*?)\/*\s*(?:\?(.*))?$/s.exec(given) ?? [];
  if (path === '') throw new ValueFault('the path of a secret is empty; write for example "secret/data/app"');
  if (query !== undefined && !/^version=\d+$/.test(query))
    throw new ValueFault('after the ? of a path only version=N is supported');
  if (query !== undefined && writes !== undefined)
    throw new ValueFault('a path that is written to takes its parameters as "KEY=VALUE", not after a ?');
  if (/[#&]/.test(path))
    throw new ValueFault('the path of a secret has # or & in it, which are not supported');
  const address = parsed(`vault:${path}${query === undefined ? '' : `?${query}`}`);
  return { ...address, whole: writes === undefined ? {} : { writes } };
}

/** @throws ValueFault */
export function fileAddress(path: string): SourceAddress {
  if (/[?#]/.test(path)) throw new ValueFault('the path of a file has ? or # in it, which are not supported');
  return parsed(`file:${path}`);
}

/** Where Consul is, as its own client reads it (https://developer.hashicorp.com/consul/commands#environment-variables). */
function consulUrl({
  CONSUL_HTTP_ADDR: said,
  CONSUL_HTTP_SSL: ssl,
}: TemplateScene['environment']): string | undefined {
  if (!said) return undefined;
  const scheme = ssl === 'true' || ssl === '1' ? 'https' : 'http';
  const url = said.includes('://') ? said : `${scheme}://${said}`;
  return isWebUrl(url) ? url.replace(/\/+$/, '') : undefined;
}

export const consulUnset =
  'it reads Consul, and CONSUL_HTTP_ADDR is not set to the address of one, such as http://consul.consul.svc:8500';

/** What is wrong with the settings of Consul; undefined where nothing is. */
export function consulProblem(environment: TemplateScene['environment']): string | undefined {
  return consulUrl(environment) === undefined ? consulUnset : undefined;
}

/**
 * A key of Consul's store, as its HTTP API gives it (https://developer.hashicorp.com/consul/api-docs/kv#read-key).
 * @throws ValueFault
 */
export function keyAddress(
  given: string,
  { environment, secret }: TemplateScene,
  optional: boolean,
): SourceAddress {
  const url = consulUrl(environment);
  if (url === undefined) throw new ValueFault(consulUnset);
  const [, path = '', datacenter] = /^\/*([^@]*?)(?:@([\w-]+))?$/s.exec(given) ?? [];
  if (path === '') throw new ValueFault('the name of a key is empty, or has an @ in it');
  const encoded = path
    .split('/')
    .map((segment) => encodeURIComponent(segment))
    .join('/');
  const address = parsed(
    `${url}/v1/kv/${encoded}?raw${datacenter === undefined ? '' : `&dc=${datacenter}`}`,
    secret,
  );
  return { ...address, optional };
}
