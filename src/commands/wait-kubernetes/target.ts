import type { UnknownResource } from '../../clients/kubernetes/discover.ts';
import { parseNamespace } from '../../clients/kubernetes/namespace.ts';
import { builtInKinds, builtInResource, type ApiResource } from '../../clients/kubernetes/resource.ts';
import { quoted } from '../../core/misplaced-secret.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';

/** An object, or those of a kind that labels select. */
export interface ObjectTarget {
  readonly resource: ApiResource | UnknownResource;
  /** As it was written: `deploy`. */
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
}

const accepted = 'write KIND/NAME or KIND/NAMESPACE/NAME, as job/migrate; KIND alone with --selector';

/** What RBAC and etcd take for a name, `system:node` among them. */
const objectName = /^[a-z0-9A-Z]([\w.:-]{0,251}[a-z0-9A-Z])?$/;

/**
 * Reads `job/migrate`, `pod/prod/db-0`, `certificate.cert-manager.io/web`, `pods`.
 * @throws Error that says what is accepted
 */
export function parseObjectTarget(text: string): ObjectTarget {
  if (text === '') throw new Error(`the target is empty; ${accepted}`);
  refuseUnexpanded('word', text, 'the target');
  const [kind = '', ...rest] = text.split('/');
  if (kind === '' || rest.length > 2) throw new Error(`${quoted(text)} is not an object; ${accepted}`);
  const resource = resourceNamed(kind);
  // `pods/prod/` are those of a namespace.
  const [namespace, name] = rest.length === 2 ? rest : [undefined, rest[0]];
  if (namespace !== undefined) parseNamespace(namespace);
  if (name === '' && namespace === undefined) throw new Error(`${quoted(text)} has no name; ${accepted}`);
  if (name && !objectName.test(name))
    throw new Error(`${quoted(name)} is not a name of an object; ${accepted}`);
  return { resource, kind: kind.toLowerCase(), namespace, name: name || undefined };
}

function resourceNamed(kind: string): ApiResource | UnknownResource {
  const known = builtInResource(kind);
  if (known !== undefined) return known;
  const [, name = '', group = ''] = /^([a-z][a-z0-9-]*)\.([a-z0-9-]+(?:\.[a-z0-9-]+)*)$/i.exec(kind) ?? [];
  if (group === '')
    throw new Error(
      `${quoted(kind)} is not a kind that every cluster has (${builtInKinds.slice(0, 6).join(', ')}, …); write a custom resource with its group, as certificate.cert-manager.io/NAME`,
    );
  return { name: name.toLowerCase(), group: group.toLowerCase() };
}

export function isKnownResource(resource: ApiResource | UnknownResource): resource is ApiResource {
  return 'plural' in resource;
}
