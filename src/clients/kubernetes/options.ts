import { text, value } from '../../core/options/option.ts';
import { parseNamespace } from './namespace.ts';

/** Which cluster, and where in it. */
export const clusterOptions = {
  namespace: value({
    description:
      'the namespace of objects of the cluster that name none; unset, the pod’s own or the context’s',
    placeholder: 'NAMESPACE',
    short: 'n',
    parse: parseNamespace,
  }),
  kubeconfig: text({
    description:
      'a kubeconfig file instead of those of KUBECONFIG, the pod’s service account, or ~/.kube/config',
    placeholder: 'PATH',
  }),
  context: text({
    description: 'the context of the kubeconfig file, instead of its current one',
    placeholder: 'NAME',
  }),
};
