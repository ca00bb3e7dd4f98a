import { pickField, registerContent, textOrBytes } from '../../config/fields.ts';
import type { FetchAnswer, FieldValue, ReadSource, SourceAddress } from '../../config/source.ts';
import type { Clock } from '../../core/clock.ts';
import type { ClusterRight } from '../../core/cluster-rights.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { notYet } from '../../wait/attempt.ts';
import { isObject, objectIn, textAt, valueIn, type ApiObject, type Json } from './api-object.ts';
import type { ApiClient } from './client.ts';
import { MissingRight } from './missing-right.ts';
import { refusalOf } from './refusal.ts';
import { builtInResource, groupPath, type ApiResource } from './resource.ts';

/** A Secret or ConfigMap, as a source names it. */
export interface StoredKeys {
  readonly resource: ApiResource;
  readonly namespace: string | undefined;
  readonly name: string;
}

/** Reads `secret/[NAMESPACE/]NAME`, whose form is checked already. */
export function storedKeysAt({ path }: SourceAddress): StoredKeys {
  const [kind = '', ...place] = path.split('/');
  const [name = '', namespace] = place.toReversed();
  return { resource: builtInResource(kind) as ApiResource, namespace, name };
}

/** The right that reading it takes. */
export function rightOf(address: SourceAddress, namespace: string): ClusterRight {
  const { resource, namespace: named, name } = storedKeysAt(address);
  return {
    group: resource.group,
    plural: resource.plural,
    namespace: named ?? namespace,
    name,
    verbs: ['get'],
  };
}

export interface StoredKeysParts {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly redactor: Redactor;
  /** The namespace that is meant where the address names none. */
  readonly namespace: string | undefined;
  readonly secret: boolean;
}

/**
 * Reads the keys of a Secret or ConfigMap; waits until it is there, and until the keys that are wanted of it hold something: a
 * controller makes some Secrets first, and fills them then.
 */
export function storedKeysReader(address: SourceAddress, parts: StoredKeysParts): ReadSource {
  const { client, redactor, secret } = parts;
  const { resource, namespace: named, name } = storedKeysAt(address);
  const namespace = named ?? parts.namespace ?? client.access.namespace ?? 'default';
  const path = `${groupPath(resource)}/namespaces/${namespace}/${resource.plural}/${encodeURIComponent(name)}`;
  const rights = new MissingRight(parts.clock);
  return async (probe) => {
    const answer = await client.send({ path }, probe);
    if (answer.state !== 'response') return answer;
    const said = parsed(answer.body);
    const object = isObject(said) ? said : undefined;
    if (answer.status === 404 && isNotFound(object))
      return {
        ...notYet(`is not there, in the namespace ${namespace}`, {
          absent: true,
          hint: 'is it made already, and in that namespace?',
        }),
        missing: true,
      };
    if (answer.status !== 200) {
      const refused = refusalOf(answer, { verb: 'get', resource, namespace, name }, client.access);
      return refused.state === 'forbidden' ? rights.missed(refused) : refused;
    }
    rights.given();
    if (object === undefined) return broken('it is not JSON');
    if (textAt(object, 'kind') !== resource.kind || textAt(object, 'metadata', 'name') !== name)
      return broken(`it is not the ${resource.kind} that was asked for`);
    const fields = fieldsOf(object, resource.kind);
    if (typeof fields === 'string') return broken(fields);
    if (secret) registerContent(redactor, { kind: 'fields', fields });
    if (fields.size === 0) return notYet('has no keys yet');
    const wanted = address.wanted ?? (address.field === undefined ? [] : [address.field]);
    for (const key of wanted) {
      const empty = isEmpty(fields.get(key));
      // What lies below a key is found when it is picked.
      if (
        empty === false ||
        (empty === undefined && [...fields.keys()].some((one) => key.startsWith(`${one}.`)))
      )
        continue;
      const shown = JSON.stringify(key);
      return notYet(empty ? `has nothing in the key ${shown} yet` : `does not have the key ${shown} yet`, {
        hint: `it has the keys ${[...fields.keys()]
          .slice(0, 20)
          .map((one) => JSON.stringify(one))
          .join(', ')}`,
      });
    }
    const content = pickField(fields, address.field);
    if ('state' in content) return content;
    const version = textAt(object, 'metadata', 'resourceVersion');
    return {
      state: 'fetched',
      fetched: {
        content,
        secret,
        provenance: { source: address.text, ...(/^[\w-]{1,64}$/.test(version) ? { version } : {}) },
      },
    } satisfies FetchAnswer;
  };
}

/** Undefined where there is no such field. */
function isEmpty(value: FieldValue | undefined): boolean | undefined {
  if (value === undefined) return undefined;
  return value instanceof Uint8Array ? value.length === 0 : value === '';
}

/** The API server's own words: what is in between answers 404 as well. */
function isNotFound(status: ApiObject | undefined): boolean {
  return textAt(status, 'kind') === 'Status' && textAt(status, 'reason') === 'NotFound';
}

function parsed(body: Buffer): Json | undefined {
  try {
    return JSON.parse(body.toString()) as Json;
  } catch {
    return undefined;
  }
}

/**
 * The values of `data` and `binaryData`, or what is wrong with them. Those of a Secret are in base64
 * (https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/).
 */
function fieldsOf(object: ApiObject, kind: string): Map<string, FieldValue> | string {
  const fields = new Map<string, FieldValue>();
  for (const part of ['data', 'binaryData']) {
    const encoded = kind === 'Secret' || part === 'binaryData';
    const said = valueIn(object, part) ?? null;
    if (said !== null && !isObject(said)) return `${part} is not an object`;
    for (const [key, value] of Object.entries(objectIn(object, part))) {
      if (typeof value !== 'string') return `a value of ${part} is not a text`;
      if (encoded && !base64.test(value)) return `a value of ${part} is not base64`;
      if (fields.has(key)) return 'it has a key twice';
      fields.set(key, encoded ? textOrBytes(Buffer.from(value, 'base64')) : value);
    }
  }
  return fields;
}

const base64 = /^[A-Za-z0-9+/\r\n]*={0,2}\s*$/;

function broken(why: string): FetchAnswer {
  return notYet(`answered 200 with a broken body: ${why}`);
}
