import { pickFromBytes, registerContent } from '../../config/fields.ts';
import { asObject, asString, asText } from '../../config/json.ts';
import type { FetchAnswer, ReadSource, SourceAddress } from '../../config/source.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import { objectOf } from '../http/bearer-tokens.ts';
import type { HttpClient } from '../http/transport.ts';
import { crc32c } from './crc32c.ts';
import { googleFault } from './faults.ts';
import type { GoogleLogin } from './login.ts';

/** Bytes of an answer: a version has at most 64 KiB, in base64. */
const largestAnswer = 2 ** 20;

export interface GoogleSecretParts {
  readonly login: GoogleLogin;
  readonly http: HttpClient;
  readonly redactor: Redactor;
  /** Another endpoint than Google's own, ending with a slash. */
  readonly endpoint: URL | undefined;
  /** The project of what names none; unset, that of the credentials. */
  readonly project: string | undefined;
}

/** `NAME`, `PROJECT/NAME`, or the whole name as Google prints it. */
export function secretNamed(path: string): {
  readonly project: string | undefined;
  readonly location: string | undefined;
  readonly name: string;
} {
  const [, project, location, name] =
    /^projects\/([^/]+)(?:\/locations\/([^/]+))?\/secrets\/([^/]+)$/.exec(path) ?? [];
  if (name !== undefined) return { project, location, name };
  const [last = '', before] = path.split('/').toReversed();
  return { project: before, location: undefined, name: last };
}

/**
 * Reads a version of a secret of Google Secret Manager, one attempt each
 * (https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access).
 */
export function googleSecretReader(address: SourceAddress, parts: GoogleSecretParts): ReadSource {
  const { login, http, redactor } = parts;
  const secret = secretNamed(address.path);
  const version = address.options.get('version');
  return async (probe) => {
    const token = await login.token(probe);
    if (token.state !== 'token') return token;
    const project = await projectOf(secret.project ?? parts.project, login, probe);
    if (typeof project !== 'string') return project;
    const place = [
      `projects/${encodeURIComponent(project)}`,
      ...(secret.location === undefined ? [] : [`locations/${encodeURIComponent(secret.location)}`]),
      `secrets/${encodeURIComponent(secret.name)}`,
    ].join('/');
    const answer = await http.send(
      {
        method: 'GET',
        url: new URL(
          `v1/${place}/versions/${encodeURIComponent(version ?? 'latest')}:access`,
          parts.endpoint ?? endpointOf(secret.location),
        ),
        headers: { Accept: 'application/json', Authorization: `Bearer ${token.value}` },
        maxBody: largestAnswer,
        maxBodyOrigin: 'the limit for Secret Manager',
      },
      probe,
    );
    if (answer.state !== 'response') return answer;
    if (answer.status === 200)
      return fetchedFrom(objectOf(answer), { ...secret, project, version }, address, redactor);
    const where = `--project ${project}${secret.location === undefined ? '' : ` --location ${secret.location}`}`;
    return googleFault(answer, {
      service: 'Secret Manager',
      account: login.account,
      version,
      list: `gcloud secrets list ${where} shows what is there, and gcloud secrets versions list its versions; another project is named by gcp-sm:PROJECT/NAME or GOOGLE_CLOUD_PROJECT`,
      allow: `allow it: gcloud secrets add-iam-policy-binding ${secret.name} ${where} --role roles/secretmanager.secretAccessor --member ${memberOf(login.account)}; of a secret that is not there, Google says so only to whoever may see the project's`,
      api: `secretmanager.googleapis.com --project ${project}`,
      variable: 'CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER',
      redact: redactor.redact,
    });
  };
}

/** As IAM names who holds the token: an account, or what Workload Identity Federation knows of the pod. */
export function memberOf(account: string): string {
  return account.endsWith('.gserviceaccount.com') ? `serviceAccount:${account}` : 'PRINCIPAL';
}

async function projectOf(
  named: string | undefined,
  login: GoogleLogin,
  probe: Probe,
): Promise<string | NotYet | Never> {
  if (named !== undefined) return named;
  const found = await login.project(probe);
  return found.state === 'project' ? found.id : found;
}

/** Regional secrets are at endpoints of their own (https://cloud.google.com/secret-manager/regional-secrets/data-residency). */
function endpointOf(location: string | undefined): URL {
  return new URL(
    location === undefined
      ? 'https://secretmanager.googleapis.com/'
      : `https://secretmanager.${location}.rep.googleapis.com/`,
  );
}

interface AskedVersion {
  readonly project: string;
  readonly location: string | undefined;
  readonly name: string;
  /** A number or an alias; unset, the latest. */
  readonly version: string | undefined;
}

/**
 * What the name of an answer's version is, or what is wrong with it. The project is named by its number, however it was asked
 * for: an ID and a number are not compared.
 */
function versionIn(said: string, asked: AskedVersion): { readonly number: string } | string {
  const [, project = '', location, name, number = ''] =
    /^projects\/([^/]+)(?:\/locations\/([^/]+))?\/secrets\/([^/]+)\/versions\/([^/]+)$/.exec(said) ?? [];
  if (name === undefined) return 'it has no name of a version';
  const isComparable = isNumber(project) === isNumber(asked.project);
  if (name !== asked.name || location !== asked.location || (isComparable && project !== asked.project))
    return 'it has another secret';
  if (!isNumber(number)) return 'its version has no number';
  const isOther = asked.version !== undefined && isNumber(asked.version) && number !== asked.version;
  return isOther ? 'it has another version' : { number };
}

function isNumber(text: string): boolean {
  return /^\d{1,20}$/.test(text);
}

function fetchedFrom(
  said: ReturnType<typeof objectOf>,
  asked: AskedVersion,
  address: SourceAddress,
  redactor: Redactor,
): FetchAnswer {
  const payload = asObject(said?.['payload']);
  const data = asString(payload?.['data']) ?? (payload === undefined ? undefined : '');
  if (data !== undefined) redactor.secret(data);
  if (data === undefined || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(data))
    return broken('it has no payload in base64');
  const bytes = Buffer.from(data, 'base64');
  registerContent(redactor, { kind: 'value', value: bytes });
  const version = versionIn(asString(said?.['name']) ?? '', asked);
  if (typeof version === 'string') return broken(version);
  // Of what came without one, Secret Manager makes it itself.
  const sum = asText(payload?.['dataCrc32c']);
  if (sum === undefined) return broken('it has no CRC-32C');
  if (data.length % 4 !== 0 || sum !== String(crc32c(bytes)))
    return notYet('came with another CRC-32C than Secret Manager keeps of it');
  const content = pickFromBytes(bytes, address.field);
  if ('state' in content) return content;
  registerContent(redactor, content);
  return {
    state: 'fetched',
    fetched: {
      content,
      secret: true,
      provenance: { source: address.text, version: version.number },
    },
  };
}

function broken(why: string): NotYet {
  return notYet(`answered 200 with a broken body: ${why}`);
}
