import { endpointName } from '../../../../clients/connection/endpoint.ts';
import {
  credentialOptions,
  readCredentials,
  readServerUrl,
  readTls,
  tlsTargetOptions,
} from '../../../../clients/connection/server-url.ts';
import { isIP } from '../../../../clients/dns/ip-address.ts';
import { readResolvConf } from '../../../../clients/dns/resolv-conf.ts';
import {
  attemptMongodb,
  type MongodbDemands,
  type MongodbRole,
} from '../../../../clients/mongodb/attempt.ts';
import { quotedValue } from '../../../../core/misplaced-secret.ts';
import { flag, list, type Values } from '../../../../core/options/option.ts';
import { UsageError } from '../../../../core/outcome.ts';
import { refuseUnexpanded } from '../../../../core/template-variables.ts';
import { defineKind } from '../../kind.ts';
import { serverStages, serverTools } from '../../server-target.ts';
import { readMongodbParameters, type MongodbParameters } from './parameters.ts';
import { mongodbSeeds } from './seeds.ts';

const mongodbOptions = {
  ...credentialOptions,
  primary: flag({ description: 'a primary that takes writes must be there' }),
  secondary: flag({ description: 'a secondary must be there' }),
  collection: list({
    description: 'a collection that must be there, in the database of the URL',
    placeholder: 'NAME',
    parse: parseCollection,
  }),
  ...tlsTargetOptions,
};

type MongodbOptions = Values<typeof mongodbOptions>;

export const mongodb = defineKind({
  options: mongodbOptions,
  foreignParameters: true,
  limit: 5000,
  read({ address, scheme, options }, around) {
    const [, bare = '', query = ''] = /^([^?]*)\??(.*)$/s.exec(address) ?? [];
    refuseUnexpanded('url', address, `the ${scheme} URL`);
    const parameters = readMongodbParameters(query);
    const isSrv = scheme === 'mongodb+srv';
    const url = readServerUrl(bare, { port: 27_017, several: !isSrv }, around);
    if (/[/\\. "$\0]/.test(url.path))
      throw new Error(
        'what follows the hosts of a mongodb URL is one database, as mongodb://USER@HOST:27017/DATABASE',
      );
    const [first] = url.endpoints;
    const host = first.kind === 'tcp' ? first.host : first.path;
    if (isSrv) checkSrv(bare, host, parameters);
    else if (parameters.srvServiceName !== undefined)
      throw new UsageError('srvServiceName has no effect without mongodb+srv://');
    if (parameters.direct && url.endpoints.length > 1)
      throw new UsageError('directConnection=true is for one host, and the URL names several');
    const hasTls = parameters.tls ?? isSrv;
    checkTlsOf(options, parameters, hasTls);
    const { user, password } = readCredentials(url, options, around);
    if (user !== undefined && password === undefined && around.environment !== undefined)
      throw new UsageError(
        `the user ${JSON.stringify(user)} has no password; give password-file or password-env`,
      );
    const hosts = isSrv ? host : url.endpoints.map(endpointName).join(',');
    const name = `${hosts}${url.path === '' ? '' : `/${url.path}`}`;
    return {
      name,
      open(context) {
        const given = readCredentials(url, options, context);
        const tools = serverTools(context);
        const config = () => readResolvConf(context.paths.resolvConf);
        const tls = hasTls
          ? { ...readTls(tlsOf(options, parameters), context.environment), anyName: parameters.anyName }
          : undefined;
        const demands: MongodbDemands = {
          endpoints: isSrv
            ? mongodbSeeds(host, parameters.srvServiceName ?? 'mongodb', config, context.clock)
            : url.endpoints,
          tls,
          login:
            given.user === undefined || given.password === undefined
              ? undefined
              : {
                  user: given.user,
                  password: given.password,
                  source: parameters.source ?? (url.path || undefined),
                  mechanism: parameters.mechanism,
                },
          // Drivers take that where a URL names none.
          database: url.path || 'test',
          replicaSet: parameters.replicaSet,
          direct: parameters.direct,
          roles: rolesOf(options, parameters),
          collections: options.collection,
        };
        const stages = serverStages(url.endpoints, {
          tls: hasTls,
          login: given.user !== undefined,
          assertion: true,
        });
        return { name, stages, attempt: (probe) => attemptMongodb(demands, tools, probe) };
      },
    };
  },
});

/** Whom a client with this URL would use, and who is asked for beside that. */
function rolesOf(
  { primary, secondary }: MongodbOptions,
  { direct, readPreference }: MongodbParameters,
): readonly MongodbRole[] {
  const asked = [...(primary ? (['primary'] as const) : []), ...(secondary ? (['secondary'] as const) : [])];
  if (asked.length > 0) return asked;
  if (direct) return ['any'];
  return [readPreference === 'primary' || readPreference === 'secondary' ? readPreference : 'any'];
}

function checkSrv(bare: string, host: string, { direct, srvServiceName }: MongodbParameters): void {
  const authority = /^[^/]*\/\/([^/]*)/.exec(bare)?.[1] ?? '';
  if (/:\d*$/.test(authority.slice(authority.lastIndexOf('@') + 1)))
    throw new Error('the mongodb+srv URL has a port; the SRV records name it, so write none');
  if (direct) throw new UsageError('directConnection=true cannot be combined with mongodb+srv://');
  if (isIP(host)) throw new Error('the mongodb+srv URL has an address; SRV records are of a name');
  if (srvServiceName !== undefined && !/^[a-z0-9](?:[a-z0-9-]{0,13}[a-z0-9])?$/i.test(srvServiceName))
    throw new UsageError('srvServiceName is not the name of a service, such as mongodb');
}

/** @throws UsageError where somebody may believe that something is verified or shown */
function checkTlsOf(options: MongodbOptions, parameters: MongodbParameters, hasTls: boolean): void {
  const own = (['ca-file', 'cert-file', 'key-file', 'tls-server-name'] as const).filter(
    (name) => options[name] !== undefined,
  );
  const given = [
    ...own,
    ...(options.insecure ? ['insecure'] : []),
    ...(parameters.caFile === undefined ? [] : ['tlsCAFile']),
    ...(parameters.certificateKeyFile === undefined ? [] : ['tlsCertificateKeyFile']),
    ...(parameters.insecure ? ['tlsInsecure'] : []),
    ...(parameters.anyName ? ['tlsAllowInvalidHostnames'] : []),
  ];
  if (!hasTls && given[0] !== undefined)
    throw new UsageError(`${given[0]} has no effect without TLS; write tls=true`);
  if (options['ca-file'] !== undefined && parameters.caFile !== undefined)
    throw new UsageError('the authority is given by ca-file and by tlsCAFile; use one, not both');
  if (
    (options['cert-file'] ?? options['key-file']) !== undefined &&
    parameters.certificateKeyFile !== undefined
  )
    throw new UsageError(
      'the certificate is given by cert-file or key-file and by tlsCertificateKeyFile; use one, not both',
    );
  if ((options['cert-file'] === undefined) !== (options['key-file'] === undefined))
    throw new UsageError('cert-file and key-file need each other; give both');
}

function tlsOf(
  options: MongodbOptions,
  { caFile, certificateKeyFile, insecure }: MongodbParameters,
): MongodbOptions {
  return {
    ...options,
    'ca-file': options['ca-file'] ?? caFile,
    'cert-file': options['cert-file'] ?? certificateKeyFile,
    'key-file': options['key-file'] ?? certificateKeyFile,
    insecure: options.insecure || insecure,
  };
}

/** @throws Error that says what is accepted */
function parseCollection(given: string): string {
  if (given === '' || Buffer.byteLength(given) > 255 || /[$\0]/.test(given))
    throw new Error(`${quotedValue(given, 60)} is not the name of a collection`);
  return given;
}
