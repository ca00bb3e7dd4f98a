/** What connect(2) and a socket may say, in words; other codes are shown as they are. */
const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  itself: 'nothing listens (connected to itself)',
  silent: 'no answer',
  ETIMEDOUT: 'no answer',
  ENETUNREACH: 'network unreachable',
  EHOSTUNREACH: 'no route to host',
  ENOENT: 'no such socket',
  EMFILE: 'too many open files here',
  ENFILE: 'too many open files on this node',
  EACCES: 'permission denied here',
  EPERM: 'not permitted by a rule on this node',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection closed',
  EADDRNOTAVAIL: 'no local address or port left',
};

const hints: Readonly<Record<string, string>> = {
  ECONNREFUSED:
    'nothing listens there yet: is the server still starting, does the Service have ready endpoints (kubectl get endpointslices), is its targetPort right?',
  silent:
    'packets are dropped on the way: look at NetworkPolicies, firewalls and security groups, and at a mesh whose sidecar is not up while init containers run',
  ENETUNREACH: 'this pod has no route to that network: look at its address family and at the CNI',
  EHOSTUNREACH: 'the host does not answer on its network: is the pod or node behind that address gone?',
  ENOENT: 'the socket file does not exist yet: is its volume mounted here at that path?',
  EACCES: "the socket's permissions refuse this user: look at runAsUser and fsGroup",
};

/** A system error's code in words, as `connection refused`; undefined where it is none of a socket's. */
export function socketWords(code: string): string | undefined {
  return words[code];
}

/** The same, with the code itself where there are no words for it. */
export function connectWords(code: string): string {
  return words[code] ?? code;
}

/** What to look at where a connect failed so; undefined where nothing is known. */
export function connectHint(code: string): string | undefined {
  return hints[code === 'itself' ? 'ECONNREFUSED' : code === 'ETIMEDOUT' ? 'silent' : code];
}
