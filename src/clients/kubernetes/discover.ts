import { exitStatus } from '../../core/exit-status.ts';
import { never, notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import type { HttpAnswer } from '../http/transport.ts';
import { objectsIn, textAt, valueIn, type ApiObject, type Json } from './api-object.ts';
import type { ApiClient } from './client.ts';
import { refusalOf } from './refusal.ts';
import { groupPath, type ApiResource } from './resource.ts';

/** The name of a resource that only the cluster knows: `certificate` of the group `cert-manager.io`. */
export interface UnknownResource {
  /** Kind, plural, singular or short name, in small letters. */
  readonly name: string;
  readonly group: string;
}

/**
 * Asks the API server what a name means. Every authenticated user may do that (system:discovery).
 * @returns "not yet" where the group or the resource is not there: a CRD may be installed later
 */
export async function discoverResource(
  { name, group }: UnknownResource,
  client: ApiClient,
  probe: Probe,
): Promise<ApiResource | NotYet | Never> {
  const about = { kind: name, group, version: '', plural: name, namespaced: true };
  const ask = async (path: string): Promise<ApiObject | NotYet | Never> =>
    read(await client.send({ path }, probe), about, client);
  const found = await ask(`/apis/${group}`);
  if ('state' in found) return found as NotYet | Never;
  const versions = [
    textAt(found, 'preferredVersion', 'version'),
    ...objectsIn(found, 'versions').map((version) => textAt(version, 'version')),
  ].filter((version) => version !== '');
  for (const version of new Set(versions)) {
    const list = await ask(groupPath({ group, version }));
    if ('state' in list) return list as NotYet | Never;
    for (const one of objectsIn(list, 'resources')) {
      const plural = textAt(one, 'name');
      const names = [plural, textAt(one, 'singularName'), textAt(one, 'kind')].concat(
        (valueIn(one, 'shortNames') as string[] | undefined) ?? [],
      );
      if (plural.includes('/') || !names.some((word) => word.toLowerCase() === name)) continue;
      return { kind: textAt(one, 'kind'), group, version, plural, namespaced: one['namespaced'] === true };
    }
  }
  return notYet(`the API group ${group} does not have ${name} yet`, {
    absent: true,
    hint: 'is the custom resource’s definition (CRD) installed?',
  });
}

function read(answer: HttpAnswer, about: ApiResource, client: ApiClient): ApiObject | NotYet | Never {
  if (answer.state !== 'response') return answer;
  if (answer.status !== 200) {
    const right = { verb: 'list', resource: about, namespace: undefined, name: undefined } as const;
    const refused = refusalOf(answer, right, client.access);
    return refused.state === 'forbidden'
      ? never(
          exitStatus.refused,
          'the API server does not tell this user which resources it has (403)',
          'bind the ClusterRole system:discovery, which every authenticated user usually has',
        )
      : refused;
  }
  try {
    return JSON.parse(answer.body.toString()) as ApiObject & Json;
  } catch {
    return notYet('what answers there is not an API server: its answer is not JSON');
  }
}
