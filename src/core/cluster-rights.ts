/** A right that a command needs of a Kubernetes API server. */
export interface ClusterRight {
  /** Of the API; empty for the core's. */
  readonly group: string;
  /** `jobs`. */
  readonly plural: string;
  /** Undefined of a resource that is in no namespace. */
  readonly namespace: string | undefined;
  /** The one object; undefined where labels select them: RBAC knows names alone. */
  readonly name: string | undefined;
  /** `list` and `watch`, or `get`. */
  readonly verbs: readonly string[];
}

/** All that a command needs. */
export interface ClusterRights {
  readonly rights: readonly ClusterRight[];
  /** That of the pod, or of the kubeconfig's context: where the account is, unless somebody says otherwise. */
  readonly namespace: string;
}
