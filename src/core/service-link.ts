/**
 * Says so where a port is the URL that Kubernetes writes into `NAME_PORT` of every container for each Service NAME
 * (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables): `tcp://10.1.2.3:5432`.
 */
export function serviceLinkIn(port: string): string | undefined {
  return /^(tcp|udp|sctp):\/\//i.test(port)
    ? 'it is a URL, as Kubernetes writes one into NAME_PORT for each Service; the port alone is in NAME_SERVICE_PORT'
    : undefined;
}
