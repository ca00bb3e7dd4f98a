import { pickFromBytes, registerContent } from '../../config/fields.ts';
import { asObject, asString, asText } from '../../config/json.ts';
import type { FetchAnswer, FieldValue, ReadSource, SourceAddress } from '../../config/source.ts';
import type { Clock } from '../../core/clock.ts';
import { exitStatus } from '../../core/exit-status.ts';
import type { Log } from '../../core/log.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { never, nonexistent, notYet, type Never, type NotYet } from '../../wait/attempt.ts';
import { objectOf, passingFault, shownWords } from '../http/bearer-tokens.ts';
import type { HttpClient, HttpResponse } from '../http/transport.ts';
import type { AzureLogin } from './login.ts';
import type { AzureCloud } from './settings.ts';

const disabledHint = (vault: string, name: string): string =>
  `az keyvault secret set-attributes --vault-name ${vault} --name ${name} --enabled true`;

/** Bytes of an answer: a value has at most 25 KiB, each character of which JSON may write with six. */
const largestAnswer = 2 ** 20;

const apiVersion = '7.4';

export interface VaultOfAzureParts {
  readonly login: AzureLogin;
  readonly http: HttpClient;
  readonly redactor: Redactor;
  readonly cloud: AzureCloud;
  /** Another address than Azure's own, ending with a slash. */
  readonly url: URL | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a token for vaults is for. */
export function vaultResource({ vaults }: AzureCloud): string {
  return `https://${vaults}`;
}

/**
 * Reads a secret of Azure Key Vault, one attempt each
 * (https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret).
 */
export function keyVaultReader(address: SourceAddress, parts: VaultOfAzureParts): ReadSource {
  const { login, http, redactor, cloud } = parts;
  const [vault = '', name = ''] = address.path.split('/');
  const version = address.options.get('version');
  const url = new URL(
    ['secrets', name, ...(version === undefined ? [] : [version])].map(encodeURIComponent).join('/'),
    parts.url ?? `https://${vault}.${cloud.vaults}/`,
  );
  url.search = `api-version=${apiVersion}`;
  // Behind another address it still has its own.
  const hosts = [url.host, `${vault}.${cloud.vaults}`];
  return async (probe) => {
    const token = await login.token(vaultResource(cloud), probe);
    if (token.state !== 'token') return token;
    const answer = await http.send(
      {
        method: 'GET',
        url,
        headers: { Accept: 'application/json', Authorization: `Bearer ${token.value}` },
        maxBody: largestAnswer,
        maxBodyOrigin: 'the limit for Key Vault',
      },
      probe,
    );
    if (answer.state !== 'response') return answer;
    return answer.status === 200
      ? fetchedFrom(objectOf(answer), { hosts, vault, name, version }, address, parts)
      : faultOf(answer, { vault, name, version, client: login.client, redact: redactor.redact });
  };
}

interface Scene {
  readonly vault: string;
  readonly name: string;
  readonly version: string | undefined;
  readonly client: string;
  readonly redact: (text: string) => string;
}

/** Why a secret was not given, and whether waiting may help. */
function faultOf(answer: HttpResponse, { vault, name, version, client, redact }: Scene): NotYet | Never {
  const { status } = answer;
  const passing = passingFault(
    answer,
    'look at --azure-vault-url and the proxy variables: they should name the vault itself',
  );
  if (passing !== undefined) return passing;
  const error = asObject(objectOf(answer)?.['error']);
  const code = asString(error?.['code']);
  const refused = (what: string, hint?: string): Never => never(exitStatus.refused, what, hint);
  if (code === undefined && status !== 401)
    return refused(
      `gave an answer that is not from Key Vault (${status}): it cannot be read`,
      'look at --azure-vault-url and the proxy variables',
    );
  const inner = asObject(error?.['innererror'] ?? error?.['innerError']);
  const reason = asString(inner?.['code']) ?? '';
  const said = shownWords(asString(error?.['message']), redact);
  const as = client === '' ? '' : ` (as ${client})`;
  if (status === 404)
    return nonexistent(
      exitStatus.refused,
      version === undefined
        ? `does not exist${as}`
        : `has no version ${JSON.stringify(version)}${as}, or does not exist`,
      `az keyvault secret list --vault-name ${vault} shows what is there, and az keyvault secret list-deleted what was deleted`,
    );
  if (status === 401)
    return refused(
      `was refused: Key Vault rejected the credentials${as}${said === '' ? '' : `: ${said}`}`,
      'is the vault of the tenant that AZURE_TENANT_ID names?',
    );
  if (status === 403 && reason === 'SecretDisabled')
    return refused(`is disabled: ${said}`, disabledHint(vault, name));
  if (status === 403 && /^ForbiddenBy(?:Firewall|Connection)$/.test(reason))
    return refused(
      `access is denied by the firewall of the vault: ${said}`,
      'allow the network of the cluster, or give the vault a private endpoint in it',
    );
  if (status === 403)
    return refused(
      `access is denied${as}: ${said}`,
      `allow it: az role assignment create --role "Key Vault Secrets User" --assignee ${client || 'CLIENT_ID'} --scope ID_OF_VAULT/secrets/${name}; of a vault with access policies: az keyvault set-policy --name ${vault} --secret-permissions get --spn ${client || 'CLIENT_ID'}`,
    );
  return refused(`was refused (${status}): ${said}`);
}

interface AskedSecret {
  /** Where the vault may say that it is. */
  readonly hosts: readonly string[];
  readonly vault: string;
  readonly name: string;
  readonly version: string | undefined;
}

/** The version that an answer's ID names, or what is wrong with that; letters of either case are one in it. */
function versionIn(id: string, asked: AskedSecret): { readonly digits: string } | string {
  const [, host = '', name = '', digits] =
    /^https?:\/\/([^/]+)\/secrets\/([^/]+)\/([\da-f]{32})$/.exec(id.toLowerCase()) ?? [];
  if (digits === undefined) return 'it has no ID of a version';
  if (!asked.hosts.some((one) => one.toLowerCase() === host)) return 'it has a secret of another vault';
  if (name !== asked.name.toLowerCase()) return 'it has another secret';
  if (asked.version !== undefined && asked.version.toLowerCase() !== digits) return 'it has another version';
  return { digits };
}

/** A time in seconds since 1970, as an attribute has it; undefined where there is none. */
function timeIn(value: FieldValue | undefined): Date | undefined {
  const time = new Date(Number(asText(value) ?? Number.NaN) * 1000);
  return Number.isNaN(time.getTime()) ? undefined : time;
}

function fetchedFrom(
  said: ReturnType<typeof objectOf>,
  asked: AskedSecret,
  address: SourceAddress,
  { redactor, clock, log }: VaultOfAzureParts,
): FetchAnswer {
  const value = asString(said?.['value']);
  if (value === undefined) return broken('value is not a text');
  const bytes = Buffer.from(value);
  registerContent(redactor, { kind: 'value', value: bytes });
  const version = versionIn(asString(said?.['id']) ?? '', asked);
  if (typeof version === 'string') return broken(version);
  const attributes = asObject(said?.['attributes']);
  if (attributes?.['enabled'] === false)
    return never(
      exitStatus.refused,
      'is disabled: the vault gave its value all the same',
      disabledHint(asked.vault, asked.name),
    );
  const content = pickFromBytes(bytes, address.field);
  if ('state' in content) return content;
  registerContent(redactor, content);
  // Key Vault gives it all the same: these tell people of it, and hold nobody off
  // (https://learn.microsoft.com/azure/key-vault/secrets/about-secrets#date-time-controlled-operations).
  const [begin, end] = ['nbf', 'exp'].map((name) => timeIn(attributes?.[name]));
  const now = clock.date();
  if (end !== undefined && end <= now) log.warn(`${address.text} has expired on ${end.toISOString()}`);
  if (begin !== undefined && begin > now)
    log.warn(`${address.text} is not to be used before ${begin.toISOString()}`);
  const time = timeIn(attributes?.['updated']);
  return {
    state: 'fetched',
    fetched: {
      content,
      secret: true,
      provenance: {
        source: address.text,
        version: version.digits,
        ...(time === undefined ? {} : { time: time.toISOString() }),
      },
    },
  };
}

function broken(why: string): NotYet {
  return notYet(`answered 200 with a broken body: ${why}`);
}
