import { defineCommand, each } from '../../core/command.ts';
import { waitKubernetesOptions } from './options.ts';
import { checkWaitKubernetes, rightsOfWaitKubernetes, runWaitKubernetes } from './run.ts';
import { parseObjectTarget } from './target.ts';

const positionals = {
  usage: 'TARGET…',
  name: 'targets',
  description:
    'KIND/NAME, KIND/NAMESPACE/NAME, or KIND alone with --selector; custom resources as KIND.GROUP/NAME',
  parse: each('target', parseObjectTarget, { min: 1, example: 'initbox wait-kubernetes job/migrate' }),
};

export const waitKubernetes = defineCommand({
  name: 'wait-kubernetes',
  summary: 'wait for objects of the cluster: a Job, Pods, a rollout, a Secret',
  description: `Waits until every object is as it should be: a Job complete, a Pod ready, a Deployment, StatefulSet or DaemonSet rolled out, a Secret or ConfigMap there; or what --for says. A Job that has failed ends it at once, with the reason.

The API server tells of each change (by a watch): nothing is polled. An object that is not there yet is waited for, and so is one that is deleted and made again. It takes the pod's service account, or KUBECONFIG. --print-role prints the Role that a command line needs.`,
  examples: [
    'initbox wait-kubernetes job/migrate',
    'initbox wait-kubernetes pods --selector app=kafka --count 3 --namespace data',
    'initbox wait-kubernetes deployment/shop/api secret/shop/api-tls -- ./server',
    'initbox wait-kubernetes certificate.cert-manager.io/web --for condition=Ready',
    "initbox wait-kubernetes svc/web --for 'jsonpath={.status.loadBalancer.ingress[0].ip}'",
    'initbox wait-kubernetes pod/old-leader --invert',
    'initbox wait-kubernetes job/migrate --print-role --namespace shop --account api',
  ],
  positionals,
  options: waitKubernetesOptions,
  afterDashes: 'successor',
  timeout: '5m',
  check: checkWaitKubernetes,
  rights: rightsOfWaitKubernetes,
  run: runWaitKubernetes,
});
