import type { ApiResource } from '../../clients/kubernetes/resource.ts';
import { quoted } from '../../core/misplaced-secret.ts';
import { parseJsonPath, type JsonPath } from './json-path.ts';

/** What must hold of an object. */
export type ObjectExpectation =
  | { readonly for: 'exists' | 'gone' }
  | { readonly for: 'condition'; readonly type: string; readonly status: string }
  | {
      readonly for: 'jsonpath';
      readonly text: string;
      readonly path: JsonPath;
      readonly value: string | undefined;
    }
  | { readonly for: 'key'; readonly key: string }
  /** A Job or Pod has run to its end, well or not. */
  | { readonly for: 'ended' }
  /** What each of these kinds has of its own. */
  | { readonly for: 'complete' | 'ready' | 'rolled-out' };

const accepted =
  'write exists, delete, ended, condition=NAME, condition=NAME=STATUS or jsonpath={PATH}=VALUE';

/**
 * Reads what `kubectl wait --for` takes.
 * @throws Error that says what is accepted
 */
export function parseExpectation(text: string): ObjectExpectation {
  const [, word = '', rest] = /^([a-z]+)(?:=(.*))?$/is.exec(text) ?? [];
  const name = word.toLowerCase();
  if (rest === undefined) {
    if (name === 'exists' || name === 'create') return { for: 'exists' };
    if (name === 'delete') return { for: 'gone' };
    if (name === 'ended') return { for: 'ended' };
  } else if (name === 'condition') {
    const [, type = '', status = 'True'] = /^([^=\s]+)(?:=(\w+))?$/.exec(rest) ?? [];
    if (type !== '') return { for: 'condition', type, status };
  } else if (name === 'jsonpath') return jsonPathExpectation(rest);
  throw new Error(`${quoted(text)} is nothing that can be waited for; ${accepted}`);
}

function jsonPathExpectation(text: string): ObjectExpectation {
  // The path may have a = in its filter, so that braces or the last = end it.
  const [, path = text, value] =
    /^(\{.*\})(?:=(.*))?$/s.exec(text) ?? /^((?:[^=[]|\[[^\]]*\])*)(?:=(.*))?$/s.exec(text) ?? [];
  const bare = value === undefined ? undefined : value.replace(/^(["'])(.*)\1$/s, '$2');
  return { for: 'jsonpath', text: path, path: parseJsonPath(path), value: bare };
}

/** What is waited for where nothing is said; undefined where that must be said. */
export function usualExpectation({
  kind,
  group,
}: Pick<ApiResource, 'kind' | 'group'>): ObjectExpectation | undefined {
  return usual.get(group === '' ? kind : `${kind}.${group}`);
}

const condition = (type: string): ObjectExpectation => ({ for: 'condition', type, status: 'True' });
const phase = (value: string): ObjectExpectation => ({
  for: 'jsonpath',
  text: '{.status.phase}',
  path: parseJsonPath('{.status.phase}'),
  value,
});
const exists: ObjectExpectation = { for: 'exists' };
const rolledOut: ObjectExpectation = { for: 'rolled-out' };

const usual = new Map<string, ObjectExpectation>([
  ['Pod', { for: 'ready' }],
  ['Job.batch', { for: 'complete' }],
  ['Deployment.apps', rolledOut],
  ['StatefulSet.apps', rolledOut],
  ['DaemonSet.apps', rolledOut],
  ['Node', condition('Ready')],
  ['Namespace', phase('Active')],
  ['PersistentVolumeClaim', phase('Bound')],
  ['CustomResourceDefinition.apiextensions.k8s.io', condition('Established')],
  ...[
    'Secret',
    'ConfigMap',
    'Service',
    'ServiceAccount',
    'Role.rbac.authorization.k8s.io',
    'RoleBinding.rbac.authorization.k8s.io',
    'ClusterRole.rbac.authorization.k8s.io',
    'ClusterRoleBinding.rbac.authorization.k8s.io',
    'StorageClass.storage.k8s.io',
    'Lease.coordination.k8s.io',
    'NetworkPolicy.networking.k8s.io',
  ].map((name) => [name, exists] as const),
]);
