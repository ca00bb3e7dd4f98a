import type { ApiResource } from './resource.ts';

/** What must be allowed: to list and to watch this. */
export interface NeededRight {
  readonly resource: ApiResource;
  /** Undefined of a resource that is in no namespace. */
  readonly namespace: string | undefined;
  /** Undefined where labels select the objects: RBAC knows names alone. */
  readonly name: string | undefined;
}

/** Who gets the rights. */
export interface RoleSubject {
  readonly name: string;
  readonly namespace: string;
}

const roleName = 'initbox-wait';
const api = 'rbac.authorization.k8s.io';

/** Roles and their bindings, as YAML: one pair for each namespace, and one for what is in none. */
export function rolesFor(rights: readonly NeededRight[], subject: RoleSubject): string {
  const byNamespace = Map.groupBy(rights, ({ namespace }) => namespace ?? '');
  return [...byNamespace]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([namespace, needed]) => roleAndBinding(namespace, needed, subject))
    .join('---\n');
}

function roleAndBinding(namespace: string, rights: readonly NeededRight[], subject: RoleSubject): string {
  const prefix = namespace === '' ? 'Cluster' : '';
  // What is in no namespace is the cluster's: two namespaces that use the same name there must not share a role.
  const name = namespace === '' ? `${roleName}-${subject.namespace}-${subject.name}` : roleName;
  const metadata = [
    'metadata:',
    `  name: ${name}`,
    ...(namespace === '' ? [] : [`  namespace: ${quoted(namespace)}`]),
  ];
  const byResource = Map.groupBy(rights, ({ resource }) => `${resource.group}/${resource.plural}`);
  const rules = [...byResource.values()].flatMap((same) => {
    const [{ resource }] = same as [NeededRight];
    const all = same.some((right) => right.name === undefined);
    const names = [...new Set(same.map((right) => right.name ?? ''))].toSorted();
    return [
      `  - apiGroups: [${quoted(resource.group)}]`,
      `    resources: [${resource.plural}]`,
      ...(all ? [] : [`    resourceNames: [${names.map(quoted).join(', ')}]`]),
      '    verbs: [list, watch]',
    ];
  });
  return `${[
    `apiVersion: ${api}/v1`,
    `kind: ${prefix}Role`,
    ...metadata,
    'rules:',
    ...rules,
    '---',
    `apiVersion: ${api}/v1`,
    `kind: ${prefix}RoleBinding`,
    ...metadata,
    'roleRef:',
    `  apiGroup: ${api}`,
    `  kind: ${prefix}Role`,
    `  name: ${name}`,
    'subjects:',
    '  - kind: ServiceAccount',
    `    name: ${quoted(subject.name)}`,
    `    namespace: ${quoted(subject.namespace)}`,
  ].join('\n')}\n`;
}

/** A name could be read as a number otherwise. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
