import type { ClusterRight, ClusterRights } from '../../core/cluster-rights.ts';
import { quoted as shownText } from '../../core/misplaced-secret.ts';
import { UsageError } from '../../core/outcome.ts';
import { parseNamespace } from './namespace.ts';

/** Who gets the rights. */
interface RoleSubject {
  readonly name: string;
  readonly namespace: string;
}

/** Of what is waited for; and of what is read alone, so that neither takes the other's place. */
const roleOfWaits = 'initbox-wait';
const roleOfReads = 'initbox-fetch';
const api = 'rbac.authorization.k8s.io';

/**
 * Roles and their bindings, as YAML: one pair for each namespace, and one for what is in none.
 * @param needed what each part of a command line or plan needs
 * @param account who gets them, as --account has it
 * @throws UsageError where that is not an account, or its namespace is not known
 */
export function rolesFor(needed: readonly ClusterRights[], account: string | undefined): string {
  const subject = subjectOf(account, new Set(needed.map(({ namespace }) => namespace)));
  const byNamespace = Map.groupBy(
    needed.flatMap(({ rights }) => rights),
    ({ namespace }) => namespace ?? '',
  );
  return [...byNamespace]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([namespace, rights]) => roleAndBinding(namespace, rights, subject))
    .join('---\n');
}

function subjectOf(text: string | undefined, namespaces: ReadonlySet<string>): RoleSubject {
  const [first = 'default', second, ...more] = text?.split('/') ?? [];
  if (more.length > 0 || first === '' || second === '')
    throw new UsageError(`--account: ${shownText(text ?? '')} is not NAME or NAMESPACE/NAME`);
  if (second !== undefined) return { namespace: parseNamespace(first), name: second };
  const [own = 'default', ...others] = namespaces;
  if (others.length > 0)
    throw new UsageError(
      `--print-role: the targets are in several namespaces (${[...namespaces].join(', ')}), so that nobody knows where the pod is; say who gets the Role: --account NAMESPACE/NAME`,
    );
  return { namespace: own, name: first };
}

function roleAndBinding(namespace: string, rights: readonly ClusterRight[], subject: RoleSubject): string {
  const prefix = namespace === '' ? 'Cluster' : '';
  // What is in no namespace is the cluster's: two namespaces that use the same name there must not share a role.
  const base = rights.some(({ verbs }) => verbs.includes('watch')) ? roleOfWaits : roleOfReads;
  const name = namespace === '' ? `${base}-${subject.namespace}-${subject.name}` : base;
  const metadata = [
    'metadata:',
    `  name: ${name}`,
    ...(namespace === '' ? [] : [`  namespace: ${quoted(namespace)}`]),
  ];
  const byResource = Map.groupBy(rights, ({ group, plural, verbs }) => `${group}/${plural}/${verbs.join()}`);
  const rules = [...byResource.values()].flatMap((same) => {
    const [{ group, plural, verbs }] = same as [ClusterRight];
    const all = same.some((right) => right.name === undefined);
    const names = [...new Set(same.map((right) => right.name ?? ''))].toSorted();
    return [
      `  - apiGroups: [${quoted(group)}]`,
      `    resources: [${plural}]`,
      ...(all ? [] : [`    resourceNames: [${names.map(quoted).join(', ')}]`]),
      `    verbs: [${verbs.join(', ')}]`,
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
