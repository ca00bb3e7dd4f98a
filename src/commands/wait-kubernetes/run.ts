import { remembered } from '../../clients/dns/remembered.ts';
import { createResolver } from '../../clients/dns/resolver.ts';
import { podNamespace, type ClusterAccess } from '../../clients/kubernetes/access.ts';
import type { ApiClient } from '../../clients/kubernetes/client.ts';
import { discoverResource } from '../../clients/kubernetes/discover.ts';
import { openApiClient } from '../../clients/kubernetes/open.ts';
import type { ApiResource } from '../../clients/kubernetes/resource.ts';
import { rolesFor } from '../../clients/kubernetes/role.ts';
import type { ClusterRight, ClusterRights } from '../../core/cluster-rights.ts';
import type { Input, Surroundings } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import type { Values } from '../../core/options/option.ts';
import { everyOne, failed, printed, UsageError, type Failed, type Outcome } from '../../core/outcome.ts';
import { bounded, paced } from '../../wait/attempt-timeout.ts';
import type { Target } from '../../wait/attempt.ts';
import { waitFor } from '../../wait/loop.ts';
import { waitOutcome } from '../../wait/outcome.ts';
import { waitPlanOf } from '../../wait/plan.ts';
import { watchedTarget, type ObjectWait } from './attempt.ts';
import { usualExpectation, type ObjectExpectation } from './expectation.ts';
import type { objectOptions, waitKubernetesOptions } from './options.ts';
import { isKnownResource, type ObjectTarget } from './target.ts';

type ObjectOptions = Values<typeof objectOptions>;
type WaitKubernetesInput = Input<typeof waitKubernetesOptions, readonly ObjectTarget[]>;

/** Waits for every object, or prints the rights that this takes. */
export async function runWaitKubernetes(
  { options, positionals: given }: WaitKubernetesInput,
  context: Context,
): Promise<Outcome> {
  checkObjects(options, given, options.invert);
  if (options['print-role']) {
    const needed = await rightsOfObjects(options, given, context);
    if ('kind' in needed) return needed;
    context.stdout(rolesFor([needed], options.account));
    return printed('printed the Roles');
  }
  using opened = new DisposableStack();
  const client = opened.use(await openClient(options, context));
  const limit = options['attempt-timeout'];
  const targets = given.map((one) =>
    bounded(opened.use(objectTarget(options, one, client, context)), limit, context.clock),
  );
  return waitOutcome(await waitFor(targets, paced(waitPlanOf(options, targets.length), limit), context));
}

/** What it needs of the API server. @throws UsageError */
export async function rightsOfWaitKubernetes(
  { options, positionals: given }: WaitKubernetesInput,
  context: Context,
): Promise<readonly ClusterRights[] | Failed> {
  const needed = await rightsOfObjects(options, given, context);
  return 'kind' in needed ? needed : [needed];
}

/**
 * Checks what can be told without a file or a server.
 * @throws UsageError, as runWaitKubernetes does for the same
 */
export function checkWaitKubernetes(
  { options, positionals: given }: WaitKubernetesInput,
  _around: Surroundings,
): void {
  checkObjects(options, given, options.invert);
}

/**
 * Whether the options fit the targets.
 * @param invert whether somebody waits for their absence
 * @throws UsageError
 */
export function checkObjects(
  options: ObjectOptions,
  targets: readonly ObjectTarget[],
  invert: boolean,
): void {
  everyOne(targets, (target) => {
    const shown = `${target.kind}${target.name === undefined ? '' : `/${target.name}`}`;
    if (target.name === undefined && options.selector === undefined)
      throw new UsageError(`${shown}: neither a name nor a --selector says which; write ${target.kind}/NAME`);
    const kind = isKnownResource(target.resource) ? target.resource.kind : '';
    if (options.key.length > 0 && kind !== 'Secret' && kind !== 'ConfigMap')
      throw new UsageError(`${shown}: --key is for a Secret or a ConfigMap`);
    if (kind !== 'Job' && kind !== 'Pod' && options.for.some((one) => one.for === 'ended'))
      throw new UsageError(`${shown}: --for ended is for a Job or a Pod`);
    if (expectationsOf(options, target, invert) === undefined)
      throw new UsageError(
        `${shown}: say what must hold: --for condition=Ready, --for jsonpath={.status.phase}=Running, or --for exists`,
      );
  });
  for (const flag of ['selector', 'count'] as const)
    if (options[flag] !== undefined && targets.every(({ name }) => name !== undefined))
      throw new UsageError(`--${flag} is for targets without a name, and each has one`);
  if (options.for.length > 1 && options.for.some((one) => one.for === 'gone'))
    throw new UsageError('--for delete is all that can be said of what is gone: leave the others out');
}

function expectationsOf(
  options: ObjectOptions,
  { resource }: ObjectTarget,
  invert: boolean,
): readonly ObjectExpectation[] | undefined {
  const said: readonly ObjectExpectation[] = [
    ...options.for,
    ...options.key.map((key) => ({ for: 'key', key }) as const),
  ];
  if (said.length > 0) return said;
  // What must be gone need not be right.
  if (invert) return [{ for: 'exists' }];
  const usual = isKnownResource(resource) ? usualExpectation(resource) : undefined;
  return usual === undefined ? undefined : [usual];
}

/** Finds the cluster. @throws UsageError */
export async function openClient(options: ObjectOptions, context: Context): Promise<ApiClient> {
  const { kubeconfig, context: name } = options;
  const { parseYaml } = await import('../../clients/yaml/text.ts');
  const resolve = remembered(createResolver(context), context.clock);
  const parse = (text: string): unknown => parseYaml(text).value;
  return openApiClient(
    { kubeconfig, context: name },
    { resolve, parse, watchFor: options['watch-for'] },
    context,
  );
}

/** What waits for one of them. */
export function objectTarget(
  options: ObjectOptions & { readonly invert?: boolean },
  target: ObjectTarget,
  client: ApiClient,
  { clock, redactor }: Pick<Context, 'clock' | 'redactor'>,
): Target & Disposable {
  return watchedTarget(objectWait(options, target, client.access), {
    client,
    clock,
    redact: redactor.redact,
  });
}

function objectWait(
  options: ObjectOptions & { readonly invert?: boolean },
  target: ObjectTarget,
  access: Pick<ClusterAccess, 'namespace'>,
): ObjectWait {
  return {
    target,
    expectations: expectationsOf(options, target, options.invert ?? false) ?? [{ for: 'exists' }],
    selector: target.name === undefined ? options.selector : undefined,
    count: options.count,
    namespace: target.namespace ?? options.namespace ?? access.namespace ?? 'default',
    watchFor: options['watch-for'],
  };
}

/**
 * Tells what the targets need. The cluster is asked only about resources that not every cluster has.
 * @throws UsageError where no cluster is known and one must be asked
 */
export async function rightsOfObjects(
  options: ObjectOptions,
  targets: readonly ObjectTarget[],
  context: Context,
): Promise<ClusterRights | Failed> {
  const known = targets.every(({ resource }) => isKnownResource(resource));
  // A Role may be wanted where there is no cluster yet: then the namespaces are those that were written.
  const namespaced =
    options.namespace !== undefined ||
    targets.every(
      ({ namespace, resource }) =>
        namespace !== undefined || (isKnownResource(resource) && !resource.namespaced),
    );
  using client = known && namespaced ? undefined : await openClient(options, context);
  const access = client?.access ?? { namespace: undefined };
  const own =
    podNamespace(context.paths.serviceAccount) ?? options.namespace ?? access.namespace ?? 'default';
  const rights: ClusterRight[] = [];
  for (const target of targets) {
    const resource = await resourceOf(target, client, context);
    if ('kind' in resource && 'status' in resource) return resource;
    const { namespace } = objectWait({ ...options }, target, access);
    const { group, plural, namespaced: inNamespace } = resource;
    rights.push({
      group,
      plural,
      namespace: inNamespace ? namespace : undefined,
      name: target.name,
      verbs: ['list', 'watch'],
    });
  }
  return { rights, namespace: own };
}

async function resourceOf(
  { resource }: ObjectTarget,
  client: ApiClient | undefined,
  context: Context,
): Promise<ApiResource | Failed> {
  if (isKnownResource(resource) || client === undefined) return resource as ApiResource;
  const found = await discoverResource(resource, client, { signal: context.signal, phase: () => {} });
  if (!('state' in found)) return found;
  return failed(
    found.state === 'never' ? found.status : exitStatus.refused,
    `${resource.name}.${resource.group}: ${found.reason}`,
    { hint: found.hint },
  );
}
