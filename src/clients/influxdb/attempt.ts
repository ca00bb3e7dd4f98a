import { exitStatus } from '../../core/exit-status.ts';
import { never, notYet, satisfied, type Answer, type Probe } from '../../wait/attempt.ts';
import type { HttpClient, HttpRequest, HttpResponse } from '../http/transport.ts';

export interface InfluxdbDemands {
  readonly client: HttpClient;
  /** Asks for `/ping`. */
  readonly request: HttpRequest;
  /** The major version that it must have. */
  readonly version: 1 | 2 | 3 | undefined;
}

/**
 * One attempt: `/ping`, which every version of InfluxDB has, and answers once it takes queries. A server is known by its
 * version's header: X-Influxdb-Version, or X-Influxdb-Build of 3 (https://docs.influxdata.com/influxdb/v2/api/#operation/GetPing).
 */
export async function attemptInfluxdb(
  { client, request, version }: InfluxdbDemands,
  probe: Probe,
): Promise<Answer> {
  const answer = await client.send(request, probe);
  if (answer.state !== 'response') return answer;
  const { status, peer, busy } = answer;
  probe.reached?.('protocol');
  const from = peer === '' ? '' : ` (${peer})`;
  if (status === 401 || status === 403) {
    const reason = `answered ${status} to /ping${from}`;
    return never(
      exitStatus.refused,
      reason,
      'it wants a token: token-file, or header-env=Authorization=VARIABLE; a server of version 3 takes /ping without one if it is started so',
    );
  }
  if (status !== 200 && status !== 204)
    return notYet(`answered ${status} to /ping${from}`, {
      hint:
        status === 404
          ? 'is it InfluxDB? behind a proxy, give its path: influxdb://HOST/PATH'
          : 'it is up, but not ready, or a gateway answers in its place',
      absent: true,
      busy,
    });
  const found = versionOf(answer);
  if (found === undefined)
    return notYet(`what answers there is not InfluxDB${from}`, {
      hint: 'it answers /ping without the header X-Influxdb-Version: is it the right port?',
      absent: true,
    });
  if (version !== undefined && found.major !== version)
    return notYet(`is InfluxDB ${found.text}, where version ${version} is required${from}`, {
      hint: 'is it the right server?',
      absent: true,
    });
  return satisfied(`answers /ping (InfluxDB ${found.text}${peer === '' ? '' : `, ${peer}`})`);
}

/** Of 1 and 2 it is `1.8.10` or `v2.7.3`; 3 has its own numbers, and a build such as Core. */
function versionOf({ headers }: HttpResponse): { readonly text: string; readonly major: number } | undefined {
  const [version = '', build = ''] = ['x-influxdb-version', 'x-influxdb-build'].map((name) =>
    [headers[name]].flat().join(','),
  );
  const [, text, major] = /^v?((\d{1,3})[\w.+~-]{0,40})/.exec(version) ?? [];
  if (text !== undefined) return { text, major: Number(major) };
  if (/^(?:core|enterprise|v3)/i.test(build)) return { text: '3', major: 3 };
  // A build of the developers' own is called `dev`, or nothing.
  return version === '' && build === '' ? undefined : { text: 'of unknown version', major: 0 };
}
