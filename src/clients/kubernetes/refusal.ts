import { exitStatus } from '../../core/exit-status.ts';
import { quoted } from '../../core/misplaced-secret.ts';
import { never, notYet, type Never, type NotYet } from '../../wait/attempt.ts';
import type { HttpResponse } from '../http/transport.ts';
import type { ClusterAccess } from './access.ts';
import { textAt, type Json } from './api-object.ts';
import { resourceWords, type ApiResource } from './resource.ts';

/** What was asked of the API server, as RBAC sees it. */
export interface AskedRight {
  readonly verb: 'list' | 'watch' | 'get';
  readonly resource: ApiResource;
  /** Undefined of a resource that is in no namespace. */
  readonly namespace: string | undefined;
  /** The one object; undefined where labels select them. */
  readonly name: string | undefined;
}

/** A right that is missing; it may be given a moment later, where a Role is applied together with the pod. */
export interface Forbidden {
  readonly state: 'forbidden';
  readonly reason: string;
  readonly hint: string;
}

/** What an answer means that is not 200. */
export function refusalOf(
  { status, body, busy }: Pick<HttpResponse, 'status' | 'body' | 'busy'>,
  right: AskedRight,
  access: ClusterAccess,
): NotYet | Never | Forbidden {
  const { resource } = right;
  if (status === 401) return unauthorized(access);
  if (status === 403) {
    const who = userIn(body);
    return {
      state: 'forbidden',
      reason: `${who ?? 'this user'} may not ${right.verb} ${rightWords(right)} (403)`,
      hint: `${right.namespace === undefined ? 'a ClusterRole' : `a Role in the namespace ${right.namespace}`} is missing that gives ${resourceWords(resource)} with ${right.verb === 'get' ? 'the verb get; initbox fetch-config' : 'the verbs list and watch; initbox wait-kubernetes'} ${targetWords(right)} --print-role prints it`,
    };
  }
  if (status === 404)
    return notYet(`the cluster does not have ${resourceWords(resource)} yet (404)`, {
      absent: true,
      hint: 'is the custom resource’s definition (CRD), or the API’s server, installed?',
    });
  return notYet(`the API server answered ${status}`, { busy });
}

function unauthorized({ tokenFile, authorization, origin }: ClusterAccess): NotYet | Never {
  if (tokenFile !== undefined)
    return notYet(`the API server does not accept the token in ${tokenFile} (401)`, {
      hint: 'has it expired, is it of another cluster, or for another audience? The file is read again for each try',
    });
  const what = authorization === undefined ? 'the client certificate, or there is none' : 'the token';
  return never(
    exitStatus.refused,
    `the API server does not accept ${what} (401)`,
    `look at the user’s credentials in ${origin}: they may have expired`,
  );
}

/** `jobs.batch "migrate" in the namespace prod` */
function rightWords({ resource, name, namespace }: AskedRight): string {
  const one = name === undefined ? '' : ` ${quoted(name)}`;
  return `${resourceWords(resource)}${one}${namespace === undefined ? '' : ` in the namespace ${namespace}`}`;
}

/** How the target is written, so that it can be copied: `jobs.batch/prod/migrate`. */
function targetWords({ verb, resource, namespace, name }: AskedRight): string {
  const within = namespace === undefined ? '' : `/${namespace}`;
  if (verb === 'get') return `kubernetes:${resource.kind.toLowerCase()}${within}/${name}`;
  return `${resourceWords(resource)}${within}${name === undefined ? '/ --selector …' : `/${name}`}`;
}

/** Who the API server took us for, by its own words: `system:serviceaccount:prod:default`. */
function userIn(body: Buffer): string | undefined {
  try {
    return /User "([\w:.@/-]{1,200})"/.exec(textAt(JSON.parse(body.toString()) as Json, 'message'))?.[1];
  } catch {
    return undefined;
  }
}
