import type { SourceAddress } from '../../config/source.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { never, type Never, type Probe } from '../../wait/attempt.ts';
import { ownAuthorization } from '../http/credentials.ts';
import { sendFollowing } from '../http/redirect.ts';
import { sourceUrl } from '../http/source-urls.ts';
import { redirectHint, statusFault, type HttpSourceSettings } from '../http/source.ts';
import type { BodySink, HttpClient, HttpRequest, HttpResponse } from '../http/transport.ts';
import { NotGit, packetsIn, type Packet } from './packet-line.ts';
import { Ended, type GitSession } from './session.ts';
import { readAdvertisement, type Advertisement, type PackAnswer } from './upload-pack.ts';

const service = 'git-upload-pack';

/** Headers of every request of Git over HTTP (gitprotocol-http(5)); GitHub tells Git's clients by the first letters of their name. */
const usualHeaders = { 'Git-Protocol': 'version=2', 'User-Agent': 'git/initbox' };

export interface GitHttpSettings {
  readonly http: HttpSourceSettings;
  readonly client: HttpClient;
  /** The most bytes of a pack, and the option that says so. */
  readonly most: number;
  readonly mostOrigin: string;
}

/** Git's smart protocol over HTTP: each question is a request of its own. */
export class GitHttpSession implements GitSession {
  readonly #settings: GitHttpSettings;
  readonly #probe: Probe;
  readonly #identified: boolean;
  #headers: Readonly<Record<string, string>>;
  /** Without the last slashes. */
  #base: string;

  constructor(address: SourceAddress, settings: GitHttpSettings, probe: Probe) {
    const { http } = settings;
    this.#settings = settings;
    this.#probe = probe;
    const authorization = ownAuthorization(address, http);
    this.#headers = {
      ...http.headers,
      ...(authorization === undefined ? {} : { Authorization: authorization }),
    };
    this.#identified = http.identified || Object.keys(this.#headers).length > 0;
    this.#base = sourceUrl(address).href.replace(/\/+$/, '');
  }

  [Symbol.dispose](): void {}

  async advertisement(): Promise<Advertisement> {
    const { http, client } = this.#settings;
    const tail = `/info/refs?service=${service}`;
    const accept = { Accept: `application/x-${service}-advertisement, */*`, ...usualHeaders };
    const request: HttpRequest = {
      method: 'GET',
      url: new URL(`${this.#base}${tail}`),
      headers: { ...accept, ...this.#headers },
      maxBody: http.maxSize,
      maxBodyOrigin: '--max-size',
    };
    let last = request;
    const answer = await sendFollowing(client, request, this.#probe, {
      most: http.redirects,
      tooMany: `--redirects allows ${http.redirects}`,
      crossOrigin: http.crossOrigin,
      elsewhere: () => accept,
      atAddress(at) {
        last = at;
        return at;
      },
      identified: http.identified,
      hint: redirectHint,
    });
    const response = this.#checked(answer);
    const type = response.headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? '';
    if (type !== `application/x-${service}-advertisement`) throw new Ended(otherAnswer(type));
    // What follows goes to where the repository is now.
    const { origin, pathname } = last.url;
    if (!pathname.endsWith('/info/refs')) throw new NotGit('was redirected to what is not a repository');
    this.#base = `${origin}${pathname.slice(0, -'/info/refs'.length)}`;
    if (origin !== request.url.origin) this.#headers = {};
    return readAdvertisement(packetsIn(response.body));
  }

  async ask(request: string): Promise<readonly Packet[]> {
    const answer = await this.#settings.client.send(this.#post(request), this.#probe);
    return packetsIn(this.#checked(answer).body);
  }

  async fetch(request: string, pack: PackAnswer): Promise<void> {
    let fault: { readonly error: unknown } | undefined;
    const sink: BodySink = {
      start() {},
      write(bytes) {
        try {
          pack.write(bytes);
        } catch (error) {
          fault = { error };
          throw error;
        }
        return undefined;
      },
    };
    const answer = await this.#settings.client.send(this.#post(request, sink), this.#probe);
    if (fault !== undefined) throw fault.error;
    this.#checked(answer);
  }

  #post(body: string, sink?: BodySink): HttpRequest {
    const { http, most, mostOrigin } = this.#settings;
    return {
      method: 'POST',
      url: new URL(`${this.#base}/${service}`),
      headers: {
        Accept: `application/x-${service}-result`,
        'Content-Type': `application/x-${service}-request`,
        ...usualHeaders,
        ...this.#headers,
      },
      body,
      maxBody: sink === undefined ? http.maxSize : most,
      maxBodyOrigin: sink === undefined ? '--max-size' : mostOrigin,
      sink,
    };
  }

  #checked(answer: Awaited<ReturnType<HttpClient['send']>>): HttpResponse {
    if (answer.state !== 'response') throw new Ended(answer);
    const fault = statusFault(answer, this.#identified, {
      ...(this.#identified ? { 403: 'is the token for this repository, and may it read its contents?' } : {}),
      ...(this.#identified
        ? {}
        : { 401: `${wanted}; GitHub and others answer so also where no repository is there` }),
      404: this.#identified
        ? 'no repository is there, or these credentials may not see it, which GitHub and GitLab answer alike'
        : `no repository is there, or it is private: then ${wanted}`,
      410: 'it was there once and is gone for good',
    });
    if (fault !== undefined) throw new Ended(fault);
    return answer;
  }
}

const wanted = 'it wants credentials: --user-file, --netrc-file, or --header-file';

function otherAnswer(type: string): Never {
  if (type === 'text/html' || type === 'application/xhtml+xml')
    return never(
      exitStatus.refused,
      'answered with a web page, not as a repository',
      'is it the address that git clone takes? or is it a login page, or a proxy’s?',
    );
  return never(
    exitStatus.refused,
    'does not speak Git’s smart protocol',
    'a repository that is served as plain files cannot be fetched: serve it by git http-backend, or a Git server',
  );
}
