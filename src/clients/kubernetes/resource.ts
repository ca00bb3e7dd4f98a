/** A resource of the API: what a kind's objects are listed and watched under. */
export interface ApiResource {
  /** `Job` */
  readonly kind: string;
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  /** In small letters, as in paths and in Roles: `jobs`. */
  readonly plural: string;
  readonly namespaced: boolean;
}

const core = (kind: string, plural: string, namespaced = true): ApiResource => ({
  kind,
  group: '',
  version: 'v1',
  plural,
  namespaced,
});
const of = (group: string, kind: string, plural: string, namespaced = true): ApiResource => ({
  ...core(kind, plural, namespaced),
  group,
});

/** Those that every cluster has, so that nothing need be asked about them; short names as kubectl knows them. */
const builtIn: readonly (readonly [ApiResource, ...string[]])[] = [
  [core('Pod', 'pods'), 'po'],
  [core('Secret', 'secrets')],
  [core('ConfigMap', 'configmaps'), 'cm'],
  [core('Service', 'services'), 'svc'],
  [core('Endpoints', 'endpoints'), 'ep'],
  [core('ServiceAccount', 'serviceaccounts'), 'sa'],
  [core('PersistentVolumeClaim', 'persistentvolumeclaims'), 'pvc'],
  [core('PersistentVolume', 'persistentvolumes', false), 'pv'],
  [core('Node', 'nodes', false), 'no'],
  [core('Namespace', 'namespaces', false), 'ns'],
  [core('ReplicationController', 'replicationcontrollers'), 'rc'],
  [core('ResourceQuota', 'resourcequotas'), 'quota'],
  [of('batch', 'Job', 'jobs')],
  [of('batch', 'CronJob', 'cronjobs'), 'cj'],
  [of('apps', 'Deployment', 'deployments'), 'deploy'],
  [of('apps', 'StatefulSet', 'statefulsets'), 'sts'],
  [of('apps', 'DaemonSet', 'daemonsets'), 'ds'],
  [of('apps', 'ReplicaSet', 'replicasets'), 'rs'],
  [of('networking.k8s.io', 'Ingress', 'ingresses'), 'ing'],
  [of('networking.k8s.io', 'NetworkPolicy', 'networkpolicies'), 'netpol'],
  [of('discovery.k8s.io', 'EndpointSlice', 'endpointslices')],
  [of('coordination.k8s.io', 'Lease', 'leases')],
  [of('rbac.authorization.k8s.io', 'Role', 'roles')],
  [of('rbac.authorization.k8s.io', 'RoleBinding', 'rolebindings')],
  [of('rbac.authorization.k8s.io', 'ClusterRole', 'clusterroles', false)],
  [of('rbac.authorization.k8s.io', 'ClusterRoleBinding', 'clusterrolebindings', false)],
  [of('storage.k8s.io', 'StorageClass', 'storageclasses', false), 'sc'],
  [of('apiextensions.k8s.io', 'CustomResourceDefinition', 'customresourcedefinitions', false), 'crd', 'crds'],
];

const byName = new Map<string, ApiResource>();
for (const [resource, ...short] of builtIn) {
  const { kind, group, plural } = resource;
  for (const name of [kind.toLowerCase(), plural, ...short]) {
    byName.set(name, resource);
    if (group !== '') byName.set(`${name}.${group}`, resource);
  }
}

/** `job`, `Jobs`, `deploy` or `deployments.apps`; undefined of what only the cluster knows. */
export function builtInResource(name: string): ApiResource | undefined {
  return byName.get(name.toLowerCase());
}

/** Their kinds, for messages and completion. */
export const builtInKinds: readonly string[] = builtIn.map(([{ kind }]) => kind.toLowerCase());

/** `/api/v1`, `/apis/batch/v1` */
export function groupPath({ group, version }: Pick<ApiResource, 'group' | 'version'>): string {
  return group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
}

/** `jobs.batch`, as kubectl names a resource */
export function resourceWords({ plural, group }: ApiResource): string {
  return group === '' ? plural : `${plural}.${group}`;
}
