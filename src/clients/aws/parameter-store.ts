import { pickField, pickFromBytes, registerContent } from '../../config/fields.ts';
import { asObject, asString, asText } from '../../config/json.ts';
import type { FetchAnswer, Fetched, FieldValue, ReadSource, SourceAddress } from '../../config/source.ts';
import { exitStatus } from '../../core/exit-status.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { formatBytes } from '../../core/size.ts';
import { never, nonexistent, notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import type { HttpClient } from '../http/transport.ts';
import { type AwsClock, readJson } from './asking.ts';
import type { AwsService, SdkError } from './faults.ts';
import type { AwsLogin } from './login.ts';
import { largestAnswer } from './overheard.ts';
import { signedHeaders } from './signature.ts';

/** Parameters below one path that are read: at most ten come with one answer. */
const mostParameters = 10_000;
/** Answers in a row that have none, and a token for the next. */
const mostEmpty = 100;

const parameterStore: AwsService = {
  title: 'Parameter Store',
  missing: new Set(['ParameterNotFound', 'ParameterVersionNotFound']),
  list: (_id, region) =>
    `aws ssm describe-parameters --region ${region} shows what is there; another region is named by AWS_REGION or by the ARN`,
  allow: (id, region) =>
    `allow it in the role's policy: {"Effect":"Allow","Action":"${actionOf(id)}","Resource":"${resourceOf(id, region)}"}, and kms:Decrypt for the key of a SecureString`,
  variable: 'AWS_ENDPOINT_URL_SSM',
};

/** `/app/` stands for all that lies below it. */
function isPath(id: string): boolean {
  return id.endsWith('/');
}

/** Whether an answer's name is the one that was asked for, by a name or an ARN. */
function isNamed(name: string, path: string): boolean {
  const asked = /:parameter(\/.+)$/.exec(path)?.[1];
  return name === path || (asked !== undefined && (name === asked || `/${name}` === asked));
}

/** Whether an ARN, where there is one, is of the parameter that was asked for, by a name or an ARN. */
function isOfName(arn: string | undefined, path: string): boolean {
  if (arn === undefined || arn === path) return true;
  if (path.startsWith('arn:')) return false;
  const [, name = ''] = /:parameter\/(.*)$/s.exec(arn) ?? [];
  return name === path.replace(/^\//, '');
}

/**
 * Names at the top have no slash before them (https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html):
 * they lie below `/` as well, and no second one of the name does.
 * @returns what follows the path; undefined where it is another one
 */
function nameBelow(path: string, name: string): string | undefined {
  if (path === '/' && name !== '' && !name.includes('/')) return name;
  const key = name.slice(path.length);
  return name.startsWith(path) && key !== '' ? key : undefined;
}

function actionOf(id: string): string {
  return isPath(id) ? 'ssm:GetParametersByPath' : 'ssm:GetParameter';
}

function resourceOf(id: string, region: string): string {
  if (id.startsWith('arn:')) return id;
  return `arn:aws:ssm:${region}:ACCOUNT:parameter/${id.replace(/^\//, '').replace(/\/$/, '')}`;
}

export interface ParameterParts {
  readonly login: AwsLogin;
  readonly http: HttpClient;
  readonly time: AwsClock;
  readonly redactor: Redactor;
  /** Bytes of all values together. */
  readonly maxSize: number;
  /** Whether the user says that what is read is no secret. */
  readonly saidPublic: boolean;
}

/** One parameter, as far as it is looked at. */
interface Parameter {
  readonly name: string;
  readonly value: string;
  readonly secure: boolean;
  readonly version: string | undefined;
  /** What its version was asked for with, after a colon; empty where it was not. */
  readonly selector: string | undefined;
  readonly arn: string | undefined;
  readonly time: string | undefined;
}

/**
 * Reads a parameter of AWS Systems Manager, or all below a path, with what is encrypted decrypted
 * (https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html, API_GetParametersByPath.html). The
 * SDK's client for it would weigh as much as the one for secrets.
 */
export function parameterReader(address: SourceAddress, parts: ParameterParts): ReadSource {
  const { login, redactor } = parts;
  return async (probe) => {
    let region = 'the region';
    try {
      const keys = await login.keys(address, probe);
      if ('state' in keys) return keys;
      const place = await login.placeOf('ssm', address);
      ({ region } = place);
      const ask: Ask = async (action, input) => {
        const headers = {
          'content-type': 'application/x-amz-json-1.1',
          'x-amz-target': `AmazonSSM.${action}`,
        };
        const body = JSON.stringify(input);
        const asked = { method: 'POST', url: place.endpoint, headers, body } as const;
        const scope = { service: 'ssm', region } as const;
        const answer = await parts.http.send(
          {
            ...asked,
            headers: await signedHeaders(asked, keys, scope, parts.time.now()),
            maxBody: largestAnswer,
            maxBodyOrigin: 'the limit for Parameter Store',
          },
          probe,
        );
        return answer.state === 'response'
          ? { state: 'reply', said: asObject(readJson(answer, parts.time)) }
          : answer;
      };
      return isPath(address.path)
        ? await readPath(address, ask, region, parts, probe)
        : await readOne(address, ask, parts);
    } catch (error) {
      if (probe.signal.aborted) return notYet('no answer yet');
      return login.faulty(error as SdkError, address, region, parameterStore);
    }
  };

  async function readOne(
    { path, options, field, text }: SourceAddress,
    ask: Ask,
    { saidPublic }: ParameterParts,
  ): Promise<FetchAnswer> {
    const which = options.get('version') ?? options.get('label');
    const reply = await ask('GetParameter', {
      Name: which === undefined ? path : `${path}:${which}`,
      WithDecryption: true,
    });
    if (reply.state !== 'reply') return reply;
    const parameter = parameterIn(reply.said?.['Parameter'], redactor);
    if (typeof parameter === 'string') return broken(parameter);
    if (!isNamed(parameter.name, path)) return broken('it has another parameter');
    const version = options.get('version');
    if (!isOfName(parameter.arn, path)) return broken('it has another parameter');
    // Its number is in any answer of Parameter Store.
    if (version !== undefined && parameter.version !== version) return broken('it has another version');
    if (parameter.selector !== undefined && parameter.selector !== (which === undefined ? '' : `:${which}`))
      return broken('it has another version');
    if (saidPublic && parameter.secure) return notPublic('it is');
    const content = pickFromBytes(Buffer.from(parameter.value), field);
    if ('state' in content) return content;
    return fetched(text, content, parameter, !saidPublic);
  }

  function fetched(
    source: string,
    content: Fetched['content'],
    { version, time }: Pick<Parameter, 'version' | 'time'>,
    secret: boolean,
  ): FetchAnswer {
    if (secret) registerContent(redactor, content);
    const provenance = {
      source,
      ...(version === undefined ? {} : { version }),
      ...(time === undefined ? {} : { time }),
    };
    return { state: 'fetched', fetched: { content, secret, provenance } };
  }

  async function readPath(
    { path, options, field, text }: SourceAddress,
    ask: Ask,
    region: string,
    { maxSize, saidPublic }: ParameterParts,
    probe: Probe,
  ): Promise<FetchAnswer> {
    const label = options.get('label');
    const fields = new Map<string, FieldValue>();
    let bytes = 0;
    let token: string | undefined;
    for (let empty = 0; empty < mostEmpty; empty++) {
      const reply = await ask('GetParametersByPath', {
        Path: path === '/' ? path : path.slice(0, -1),
        Recursive: true,
        WithDecryption: true,
        ...(label === undefined
          ? {}
          : { ParameterFilters: [{ Key: 'Label', Option: 'Equals', Values: [label] }] }),
        ...(token === undefined ? {} : { NextToken: token }),
      });
      if (reply.state !== 'reply') return reply;
      const list = reply.said?.['Parameters'];
      if (!Array.isArray(list)) return broken('Parameters is not a list');
      for (const one of list as readonly FieldValue[]) {
        const parameter = parameterIn(one, redactor);
        if (typeof parameter === 'string') return broken(parameter);
        const { name, value, secure } = parameter;
        const key = nameBelow(path, name);
        if (key === undefined) return broken('it has a parameter of another path');
        if (fields.has(key)) return broken('it has a parameter twice');
        if (saidPublic && secure) return notPublic('one of them is');
        bytes += Buffer.byteLength(value);
        if (bytes > maxSize)
          return never(exitStatus.refused, `has more than ${formatBytes(maxSize)} (--max-size) below it`);
        if (fields.size === mostParameters) return tooMany();
        fields.set(key, value);
        empty = -1;
      }
      const next = reply.said?.['NextToken'] ?? '';
      if (next === '') {
        if (fields.size === 0)
          return nonexistent(
            exitStatus.refused,
            `has no parameter below it in ${region}`,
            parameterStore.list(path, region),
          );
        const picked = pickField(fields, field);
        if ('state' in picked) return picked;
        return fetched(text, picked, { version: undefined, time: undefined }, !saidPublic);
      }
      const last = token;
      token = asString(next);
      if (token === undefined) return broken('NextToken is not a text');
      if (token === last) return broken('NextToken leads to itself');
      if (probe.signal.aborted) return notYet('no answer yet');
    }
    return broken(`${mostEmpty} lists in a row have no parameter`);
  }
}

interface Reply {
  readonly state: 'reply';
  readonly said: { readonly [key: string]: FieldValue } | undefined;
}

type Ask = (action: string, input: object) => Promise<Reply | NotYet | Never>;

function tooMany(): Never {
  return never(
    exitStatus.refused,
    `has more than ${mostParameters.toLocaleString('en-US')} parameters below it`,
    'name a path with fewer',
  );
}

function notPublic(which: string): Never {
  return never(
    exitStatus.usage,
    `cannot be public: ${which} a SecureString`,
    'leave out --public, or "public: true" of a specification',
  );
}

function broken(why: string): NotYet {
  return notYet(`answered 200 with a broken body: ${why}`);
}

/** What an answer says of a parameter, or what is wrong with it. */
function parameterIn(value: FieldValue | undefined, redactor: Redactor): Parameter | string {
  const object = asObject(value);
  const name = asString(object?.['Name']);
  const text = asString(object?.['Value']);
  const type = asString(object?.['Type']);
  // Before anything is said of it.
  if (text !== undefined && type !== 'String' && type !== 'StringList')
    registerContent(redactor, { kind: 'value', value: Buffer.from(text) });
  if (object === undefined) return 'it is not about a parameter';
  if (name === undefined) return 'Name is not a text';
  if (text === undefined) return 'Value is not a text';
  if (type !== 'String' && type !== 'StringList' && type !== 'SecureString')
    return 'Type is not one of SSM’s';
  const seconds = Number(asText(object['LastModifiedDate']) ?? Number.NaN);
  const time = new Date(seconds * 1000);
  const version = asText(object['Version']);
  return {
    name,
    selector: asString(object['Selector']),
    arn: asString(object['ARN']),
    value: text,
    secure: type === 'SecureString',
    version: version !== undefined && /^\d+$/.test(version) ? version : undefined,
    time: Number.isNaN(time.getTime()) ? undefined : time.toISOString(),
  };
}
