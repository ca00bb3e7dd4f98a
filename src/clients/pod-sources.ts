import { pickField } from '../config/fields.ts';
import type { Fetched, FieldValue, ReadSource, SourceAddress } from '../config/source.ts';
import { openAnswer, textList } from '../config/text-list.ts';
import type { Environment } from '../core/context.ts';
import { exitStatus } from '../core/exit-status.ts';
import type { Host } from '../core/host.ts';
import { UsageError } from '../core/outcome.ts';
import { never, nonexistent, notYet, type Never } from '../wait/attempt.ts';

/**
 * Reads `interface:NAME`, the addresses of an interface, or of all by `*`. One that has none is waited for: a sidecar or a plugin
 * may make it.
 */
export function interfaceReader(
  address: SourceAddress,
  host: Pick<Host, 'interfaceAddresses'>,
  saidSecret: boolean | undefined,
): ReadSource {
  const { path: name, field } = address;
  return async () => {
    const all = host.interfaceAddresses();
    const found = all.filter((one) => (name === '*' || one.name === name) && isGlobal(one.address));
    const [ipv4, ipv6] = ([4, 6] as const).map((family) =>
      found.filter((one) => one.family === family).map((one) => one.address),
    ) as [string[], string[]];
    const wanted = field === 'ipv4' ? ipv4 : field === 'ipv6' ? ipv6 : found;
    if (wanted.length === 0) {
      const names = [...new Set(all.map((one) => one.name))];
      return notYet(
        name === '*' || names.includes(name)
          ? `has no global ${field === 'ipv4' ? 'IPv4 ' : field === 'ipv6' ? 'IPv6 ' : ''}address`
          : 'is not there, or is down',
        { hint: `interfaces with addresses here are ${names.join(', ') || 'none'}` },
      );
    }
    const addresses = [...ipv4, ...ipv6];
    const fields = new Map<string, FieldValue>([['address', addresses[0] ?? '']]);
    if (ipv4[0] !== undefined) fields.set('ipv4', ipv4[0]);
    if (ipv6[0] !== undefined) fields.set('ipv6', ipv6[0]);
    fields.set('addresses', textList(addresses, address));
    const content = pickField(fields, field);
    return 'state' in content ? content : openAnswer(content, address, saidSecret);
  };
}

/** Not the loopback's (RFC 1122, 3.2.1.3; RFC 4291, 2.5.3), and not those that are valid on one link (RFC 3927; RFC 4291, 2.5.6). */
function isGlobal(address: string): boolean {
  return !/^(127\.|169\.254\.|::1$|fe[89ab][0-9a-f]:)/i.test(address);
}

/** What a StatefulSet's pod is called (https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#ordinal-index). */
const ordinalAtEnd = /(?:^|-)(0|[1-9]\d{0,8})$/;

/** Reads `ordinal:VARIABLE`: the number at the end of a pod's name, or the variable's whole value. */
export function ordinalReader(
  address: SourceAddress,
  environment: Environment,
  saidSecret: boolean | undefined,
): ReadSource {
  return async () => {
    const value = ordinalIn(address, environment);
    return typeof value === 'number'
      ? openAnswer({ kind: 'value', value, name: 'ordinal' }, address, saidSecret)
      : value;
  };
}

/** @throws UsageError where the variable is not set, or ends with no ordinal */
export function ordinalAt(address: SourceAddress, environment: Environment): number {
  const value = ordinalIn(address, environment);
  if (typeof value === 'number') return value;
  throw new UsageError(`${address.text} ${value.reason}; ${value.hint}`);
}

/** The value is not shown: a wrong variable may hold a secret. */
function ordinalIn({ path, options }: SourceAddress, environment: Environment): number | Never {
  const value = Object.hasOwn(environment, path) ? environment[path] : undefined;
  const hint =
    'only the pods of a StatefulSet have an ordinal; with hostNetwork or a hostname of its own, set POD_NAME by fieldRef metadata.name, and write ordinal:POD_NAME';
  if (value === undefined) return nonexistent(exitStatus.usage, 'is not set', hint);
  const digits = ordinalAtEnd.exec(value)?.[1];
  if (digits === undefined)
    return never(exitStatus.usage, 'ends with no ordinal, as web-0 and web-12 do', hint);
  return Number(digits) + Number(options.get('plus') ?? 0);
}

const forms: Readonly<Record<string, (date: Date) => string | number>> = {
  iso: (date) => `${date.toISOString().slice(0, 19)}Z`,
  date: (date) => date.toISOString().slice(0, 10),
  unix: (date) => Math.floor(date.getTime() / 1000),
};

/** Reads `time:FORM`, when the run began, in UTC. What is written with it is another text at each run. */
export function timeReader(
  address: SourceAddress,
  started: Date,
  saidSecret: boolean | undefined,
): ReadSource {
  const value = forms[address.path]!(started);
  const content: Fetched['content'] = { kind: 'value', value, name: address.path };
  return async () => openAnswer(content, address, saidSecret);
}
