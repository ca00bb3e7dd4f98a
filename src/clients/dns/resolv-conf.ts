import { readFileSync } from 'node:fs';

import { isIP } from './ip-address.ts';

/** resolv.conf(5) as far as a resolver needs it. */
export interface ResolverConfig {
  /** `address` or `[address]:port`, in order. */
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly ndots: number;
  /** Milliseconds before a silent server is given up. */
  readonly timeout: number;
  /** Where the servers come from, for people. */
  readonly origin: string;
}

/** What glibc asks where resolv.conf names nobody. */
const localServer = '127.0.0.1';
const defaultTimeout = 5000;

/** Reads the file; a missing or empty one means the name server of this host, as in glibc. */
export function readResolvConf(path: string): ResolverConfig {
  let content = '';
  let origin = path;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    origin = `the default: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`;
  }
  const config = parseResolvConf(content);
  if (config.servers.length > 0) return { ...config, origin };
  return {
    ...config,
    servers: [localServer],
    origin: origin === path ? `the default: ${path} names none` : origin,
  };
}

export function parseResolvConf(content: string): Omit<ResolverConfig, 'origin'> {
  const servers: string[] = [];
  let search: string[] = [];
  let ndots = 1;
  let timeout = defaultTimeout;
  for (const line of content.split(/\r?\n/)) {
    const [keyword, ...words] = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'nameserver' && words[0] !== undefined && isIP(words[0])) servers.push(words[0]);
    // The last of several search or domain lines wins.
    if (keyword === 'search' || keyword === 'domain')
      search = words.map(withoutDot).filter((domain) => domain !== '');
    if (keyword === 'options') {
      for (const word of words) {
        const match = /^(ndots|timeout):(\d+)$/.exec(word);
        if (match?.[1] === 'ndots') ndots = Math.min(15, Number(match[2]));
        if (match?.[1] === 'timeout') timeout = Math.min(30, Math.max(1, Number(match[2]))) * 1000;
      }
    }
  }
  return { servers, search, ndots, timeout };
}

/**
 * The names to ask for, in order: a trailing dot means as it is; as many dots as `ndots` or more mean as it is first.
 */
export function expandName(name: string, config: Pick<ResolverConfig, 'search' | 'ndots'>): string[] {
  if (name.endsWith('.')) return [withoutDot(name)];
  const dots = name.split('.').length - 1;
  const searched = config.search.map((domain) => `${name}.${domain}`);
  return [...new Set(dots >= config.ndots ? [name, ...searched] : [...searched, name])];
}

function withoutDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

/** The pod's namespace, by the domains that the kubelet lets it search: `shop.svc.cluster.local`. */
export function namespaceFromSearch(config: Pick<ResolverConfig, 'search'>): string | undefined {
  for (const domain of config.search) {
    const match = /^([^.]+)\.svc\./.exec(domain);
    if (match) return match[1];
  }
  return undefined;
}
