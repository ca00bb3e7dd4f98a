import { createPrivateKey, type KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';

import { asObject, asString, parseJson } from '../../config/json.ts';
import type { FieldValue } from '../../config/source.ts';
import type { Environment } from '../../core/context.ts';
import { hideSecretAsPath, secretAsPath } from '../../core/misplaced-secret.ts';
import { UsageError } from '../../core/outcome.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { readNamedFile } from '../../fs/input-file.ts';
import { checkTokenUrl } from '../http/bearer-tokens.ts';
import { metadataServer } from './variables.ts';

/** Who the sources of Google are read as. */
export type GoogleCredentials =
  /** The metadata server of the node, which on GKE speaks for the pod's service account. */
  | { readonly kind: 'metadata'; readonly server: URL }
  | {
      readonly kind: 'service-account';
      readonly email: string;
      readonly keyId: string | undefined;
      readonly key: KeyObject;
      readonly tokenUrl: URL;
      readonly project: string | undefined;
    }
  /** Workload identity federation: a token of somebody else, for one of Google's. */
  | {
      readonly kind: 'external-account';
      readonly audience: string;
      readonly tokenType: string;
      readonly tokenFile: string;
      /** The key of the token in the file's JSON; unset, the file is the token. */
      readonly tokenKey: string | undefined;
      readonly tokenUrl: URL;
      /** Where the token of a service account is asked for with that one. */
      readonly impersonation: { readonly url: URL; readonly account: string } | undefined;
      readonly seconds: number;
    };

const variable = 'GOOGLE_APPLICATION_CREDENTIALS';

/**
 * What GOOGLE_APPLICATION_CREDENTIALS names, or the metadata server
 * (https://cloud.google.com/docs/authentication/application-default-credentials).
 * @throws UsageError where the file is not one of credentials that are known
 */
export function readGoogleCredentials(environment: Environment, redactor: Redactor): GoogleCredentials {
  const path = environment[variable];
  if (!path) return { kind: 'metadata', server: metadataServer(environment) };
  hideSecretAsPath(path, redactor);
  const instead = existsSync(path)
    ? undefined
    : /^\s*\{/.test(path)
      ? 'what stands there are the credentials themselves; write them into a file, and give the path of that file'
      : secretAsPath(path);
  if (instead !== undefined) {
    redactor.secret(path);
    throw new UsageError(`${variable}: ${instead}`);
  }
  const text = readNamedFile({ text: path, origin: variable }).toString();
  let said: { readonly [key: string]: FieldValue } | undefined;
  try {
    said = asObject(parseJson(text));
  } catch {
    said = undefined;
  }
  if (said === undefined) throw new UsageError(`${variable}: the file ${path} is not a JSON object`);
  const file = new CredentialsFile(path, said);
  const type = file.text('type');
  if (type === 'service_account') return serviceAccount(file, redactor);
  if (type === 'external_account') return externalAccount(file);
  throw new UsageError(
    `${variable}: the file ${path} has credentials of ${/^[a-z_]{1,60}$/.test(type) ? `the type ${type}` : 'another type'}; accepted are service_account and external_account`,
  );
}

/** Reads what must be there. */
class CredentialsFile {
  readonly #path: string;
  readonly #said: { readonly [key: string]: FieldValue };

  constructor(path: string, said: { readonly [key: string]: FieldValue }) {
    this.#path = path;
    this.#said = said;
  }

  /** @throws UsageError where it is missing */
  text(key: string): string {
    const value = this.optional(key);
    if (value === undefined) throw this.wrong(`has no ${key}, or it is not a text`);
    return value;
  }

  optional(key: string): string | undefined {
    const value = asString(this.#said[key]);
    return value === undefined || value === '' ? undefined : value;
  }

  /** An object in it; empty where there is none. */
  inner(key: string): CredentialsFile {
    return new CredentialsFile(this.#path, asObject(this.#said[key]) ?? {});
  }

  has(key: string): boolean {
    return this.#said[key] !== undefined;
  }

  number(key: string): number | undefined {
    const value = this.#said[key];
    return typeof value === 'number' ? value : undefined;
  }

  /** @throws UsageError where a token must not be sent there */
  url(key: string, otherwise?: string): URL {
    const text = this.optional(key) ?? otherwise ?? this.text(key);
    checkTokenUrl(`${variable}: ${key} in the file ${this.#path}`, text);
    return new URL(text);
  }

  wrong(why: string, cause?: unknown): UsageError {
    return new UsageError(`${variable}: the file ${this.#path} ${why}`, { cause });
  }
}

/** The name of an account, which is shown. @throws UsageError where it is not one */
function accountIn(text: string, key: string, file: CredentialsFile): string {
  if (!/^[\w.@:+-]{1,200}$/.test(text)) throw file.wrong(`has no account in ${key}`);
  return text;
}

/** https://cloud.google.com/resource-manager/docs/creating-managing-projects; old ones have a domain in front. @throws UsageError */
function projectIn(file: CredentialsFile): string | undefined {
  const project = file.optional('project_id');
  if (project !== undefined && !/^[a-z0-9][a-z0-9.:-]{0,99}$/.test(project))
    throw file.wrong('has a project_id that is not the ID of a project');
  return project;
}

function serviceAccount(file: CredentialsFile, redactor: Redactor): GoogleCredentials {
  const pem = file.text('private_key');
  redactor.secret(pem);
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    throw file.wrong('has a private_key that is not a key in PEM format', error);
  }
  if (key.asymmetricKeyType !== 'rsa') throw file.wrong('has a private_key that is not of RSA');
  return {
    kind: 'service-account',
    email: accountIn(file.text('client_email'), 'client_email', file),
    keyId: file.optional('private_key_id'),
    key,
    tokenUrl: file.url('token_uri', 'https://oauth2.googleapis.com/token'),
    project: projectIn(file),
  };
}

function externalAccount(file: CredentialsFile): GoogleCredentials {
  const source = file.inner('credential_source');
  if (!source.has('file'))
    throw file.wrong(
      'has a credential_source without a file; other sources (url, executable, certificate, those of AWS) are not supported: write the token into a file, as a projected serviceAccountToken does',
    );
  if (file.has('client_id') || file.has('workforce_pool_user_project'))
    throw file.wrong('is of a workforce pool, for people; write one for a workload identity pool');
  const format = source.inner('format');
  const isJson = format.optional('type') === 'json';
  const impersonation = file.has('service_account_impersonation_url')
    ? file.url('service_account_impersonation_url')
    : undefined;
  const [, impersonated] = /\/([^/]+):generateAccessToken$/.exec(impersonation?.pathname ?? '') ?? [];
  if (impersonation !== undefined && impersonated === undefined)
    throw file.wrong('has a service_account_impersonation_url that does not end with :generateAccessToken');
  return {
    kind: 'external-account',
    audience: file.text('audience'),
    tokenType: file.text('subject_token_type'),
    tokenFile: source.text('file'),
    tokenKey: isJson ? format.text('subject_token_field_name') : undefined,
    tokenUrl: file.url('token_url', 'https://sts.googleapis.com/v1/token'),
    impersonation:
      impersonation === undefined || impersonated === undefined
        ? undefined
        : {
            url: impersonation,
            account: accountIn(impersonated.replace(/%40/g, '@'), 'service_account_impersonation_url', file),
          },
    seconds: file.inner('service_account_impersonation').number('token_lifetime_seconds') ?? 3600,
  };
}
