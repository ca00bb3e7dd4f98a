import { membersOf, pickField, registerContent } from '../../config/fields.ts';
import { asObject, asString, asText } from '../../config/json.ts';
import type { FetchAnswer, FieldValue, Provenance, ReadSource, SourceAddress } from '../../config/source.ts';
import type { Clock } from '../../core/clock.ts';
import { formatDuration } from '../../core/duration.ts';
import { exitStatus } from '../../core/exit-status.ts';
import type { Redactor, Secret } from '../../core/redaction/redactor.ts';
import {
  never,
  notYet,
  satisfied,
  type Answer,
  type Never,
  type NotYet,
  type Probe,
} from '../../wait/attempt.ts';
import type { HttpClient } from '../http/transport.ts';
import { createVaultApi, succeeded, type AnswerLimit, type VaultReply } from './api.ts';
import { makeFault, readFault, said } from './faults.ts';
import { logIn, type Login } from './login.ts';
import { createMounts, type SecretsMount, type UnknownMount } from './mounts.ts';
import { encodePath } from './path.ts';
import type { VaultSettings } from './settings.ts';

/** A standby may lag behind by 100 ms: what it denies or does not know is asked for again after this, in milliseconds. */
const secondLook = 1000;

/** One Vault: one login, any number of reads, and what is to be done afterwards. */
export interface Vault {
  /** For people: `vault https://vault.vault.svc:8200`. */
  readonly name: string;
  /** False where a token was given that is used as it is. */
  readonly needsLogin: boolean;
  /** One attempt to log in; nothing can be read until it has succeeded. */
  logIn(probe: Probe): Promise<Answer>;
  reader(address: SourceAddress): ReadSource;
  /** Has an engine make something of what is sent, such as a certificate. One attempt. */
  make(path: string, body: object, probe: Probe): Promise<EngineAnswer | NotYet | Never>;
  /** What to tell about leases that came back. A lease dies with its token, so that one that was given is looked up. */
  notes(probe: Probe): Promise<readonly string[]>;
  /**
   * Revokes the token where it was made for this run and nothing that is used hangs on it: its leases die with it. Where
   * the token stays, and nobody got what was read, the leases of this run are revoked one by one. It may
   * be called again, where what was in use reached nobody after all.
   * @param inUse false where nobody got what was read: a failed run must not leave a database user behind each time
   * @returns what happened, for the log; empty where there was nothing to revoke
   */
  finish(inUse: boolean, probe: Probe): Promise<readonly TokenEnd[]>;
}

/** What an engine made. */
export interface EngineAnswer {
  readonly state: 'made';
  readonly data: Readonly<Record<string, FieldValue>>;
}

/** What became of a token, for the log. */
export interface TokenEnd {
  readonly revoked: boolean;
  readonly words: string;
}

const kept = 'the token of this run could not be revoked, and lives on until it expires';

const unwrappedWords =
  'the token that was unwrapped is not revoked, since it was not made for this run: it lives on until it expires';

function unreadWords(count: number, unwraps: boolean): string {
  const what = unwraps ? 'the answer to an unwrapping' : 'the answer to a login';
  return count === 1 ? `${what} did not come whole` : `${what} did not come whole ${count} times`;
}

function livesOn(count: number): string {
  return count === 1
    ? 'if Vault made a token for it, that token lives on until it expires'
    : 'if Vault made tokens for them, these live on until they expire';
}

function leasesOnIt(known: number, maybe: number): string {
  const some = `${known} lease${known === 1 ? ' hangs' : 's hang'} on it`;
  if (maybe === 0) return some;
  const answers = maybe === 1 ? 'an answer' : 'answers';
  return known === 0
    ? `${maybe} lease${maybe === 1 ? '' : 's'} may hang on it, since ${answers} did not come whole`
    : `${some}, and ${maybe} more may, since ${answers} did not come whole`;
}

function mayHaveLease(source: string, count: number): string {
  const times = count === 1 ? '' : ` ${count} times`;
  return `the answer of ${source} did not come whole${times}: if Vault made ${count === 1 ? 'a lease for it, that lives' : 'leases for them, these live'} on until ${count === 1 ? 'it ends' : 'they end'}, or the token that was used`;
}

interface Lease {
  readonly id: Secret;
  readonly source: string;
  readonly seconds: number;
  /** Why it is not revoked by this run, to which it may not belong; the text follows a comma. */
  readonly foreign?: string;
}

export function createVault(
  settings: VaultSettings,
  {
    http,
    clock,
    redactor,
    largest,
  }: {
    readonly http: HttpClient;
    readonly clock: Clock;
    readonly redactor: Redactor;
    /** Of an answer with secrets. */
    readonly largest: AnswerLimit;
  },
): Vault {
  const api = createVaultApi(http, settings.address, settings.namespace, redactor.redact);
  const mounts = createMounts(api);
  let leases: Lease[] = [];
  /** By source, reads that may have made a lease and whose answers did not come, or not whole. */
  const unanswered = new Map<string, number>();
  const given =
    settings.login.method === 'token' && !settings.login.wrapped ? settings.login.token : undefined;
  /** The clock's reading at which our own token ends. */
  let loginEnds = Number.POSITIVE_INFINITY;
  let renewal: Promise<Answer> | undefined;
  /** Ends logins that nobody waits for any more. */
  const abandoned = new AbortController();
  /** Logins that were cut off: their answers may still bring a token. */
  const underWay = new Set<Promise<void>>();
  /** Tokens that came after the run had ended. */
  const late: Login[] = [];
  /** Logins whose answers did not come whole. */
  let unread = 0;
  let login: Login | undefined = given && {
    state: 'logged-in',
    token: given,
    accessor: '',
    policies: [],
    lifetime: 0,
    own: false,
    unwrapped: false,
  };

  return {
    name: `vault ${settings.address.href.replace(/\/+$/, '')}`,
    needsLogin: given === undefined,
    logIn: enter,
    reader(address) {
      let doubt: { readonly until: number; readonly answer: Never } | undefined;
      return async (probe) => {
        const held = await heldLogin(probe);
        if (held.state !== 'logged-in') return held;
        if (doubt !== undefined && clock.now() < doubt.until)
          return again(doubt.answer, doubt.until - clock.now());
        const { answer, confirm, lease } = await readSecret(address, held, probe);
        if (lease !== undefined) leases.push(lease);
        if (answer.state !== 'never' || !confirm || doubt !== undefined) return answer;
        doubt = { until: clock.now() + secondLook, answer };
        return again(answer, secondLook);
      };
    },
    async make(path, body, probe) {
      const held = await heldLogin(probe);
      if (held.state !== 'logged-in') return held;
      probe.phase(`asking ${path}`);
      const reply = await api.write(encodePath(path), body, held.token, probe);
      if (reply.state !== 'reply') return reply;
      if (!succeeded(reply)) return makeFault(reply, path, held.policies);
      const id = asString(reply.body['lease_id']) ?? '';
      const seconds = Number(reply.body['lease_duration'] ?? 0);
      if (id !== '') leases.push({ id: redactor.secret(id), source: `vault:${path}`, seconds });
      const data = asObject(reply.body['data']);
      return data === undefined
        ? never(exitStatus.refused, `answered ${reply.status} without data`)
        : { state: 'made', data };
    },
    async notes(probe) {
      if (leases.length === 0 || login === undefined) return [];
      const lifetime = login.lifetime > 0 ? login.lifetime : await lookUp(login.token, probe);
      return leases.map((lease) => leaseNote(lease, lifetime));
    },
    async finish(inUse, probe) {
      await Promise.race([Promise.all(underWay), aborted(probe.signal)]);
      abandoned.abort();
      const unwraps = settings.login.method === 'token';
      const begun = unwraps ? 'the token was being unwrapped' : 'a login was cut off';
      const cut: TokenEnd[] =
        underWay.size > 0 ? [{ revoked: false, words: `${begun}: ${livesOn(underWay.size)}` }] : [];
      const broken: TokenEnd[] =
        unread > 0 ? [{ revoked: false, words: `${unreadWords(unread, unwraps)}: ${livesOn(unread)}` }] : [];
      unread = 0;
      // Its time is over.
      if (underWay.size > 0) return [...cut, ...broken];
      const gone = [...late.splice(0), ...(login === undefined ? [] : [login])];
      const ours = gone.filter(({ own }) => own);
      const maybe = [...unanswered.values()].reduce((sum, count) => sum + count, 0);
      const keeps = inUse && leases.length + maybe > 0;
      const ends = await Promise.all(
        ours.filter((one) => !keeps || one !== login).map((one) => revoke(one, probe)),
      );
      const gave = login;
      // Where its token stays, each lease is asked to go by itself.
      const tokenGone =
        login?.own === true && ends.length === ours.length && ends.every(({ revoked }) => revoked);
      if (!inUse && gave !== undefined && !tokenGone) {
        const made = leases;
        ends.push(...(await Promise.all(made.map((lease) => revokeLease(lease, gave, probe)))));
      }
      if (!tokenGone && !(keeps && login?.own))
        for (const [source, count] of unanswered)
          ends.push({ revoked: false, words: mayHaveLease(source, count) });
      if (!inUse) leases = [];
      if (!keeps) unanswered.clear();
      const others = gone.some(({ own, unwrapped }) => !own && unwrapped);
      const unwrapped = !inUse && others ? [{ revoked: false, words: unwrappedWords }] : [];
      if (keeps && login?.own)
        ends.push({
          revoked: false,
          words: `the token is kept: ${leasesOnIt(leases.length, maybe)}`,
        });
      else if (!keeps) login = undefined;
      return [...broken, ...unwrapped, ...ends];
    },
  };

  /** The login that is held; a new one where the wait has outlived its token: one for all that wait. */
  async function heldLogin(probe: Probe): Promise<Login | NotYet | Never> {
    if (login !== undefined && clock.now() >= loginEnds) {
      renewal ??= enter(probe).finally(() => {
        renewal = undefined;
      });
      const answer = await renewal;
      if (answer.state !== 'satisfied') return answer;
    }
    return login ?? notYet('not logged in yet');
  }

  async function revoke(
    session: Login,
    probe: Probe,
  ): Promise<{ readonly revoked: boolean; readonly words: string }> {
    const foreign = await notOurs(session, probe);
    if (foreign !== undefined) return { revoked: false, words: foreign };
    const reply = await api.write('auth/token/revoke-self', undefined, session.token, probe);
    if (reply.state === 'reply' && succeeded(reply))
      return {
        revoked: true,
        words: `the token of this run is revoked${leases.length > 0 ? ', and its leases with it' : ''}`,
      };
    const why = reply.state === 'reply' ? `${reply.status}${said(reply)}` : reply.reason;
    return { revoked: false, words: `${kept}: ${why}` };
  }

  /** https://developer.hashicorp.com/vault/api-docs/system/leases#revoke-lease */
  async function revokeLease(lease: Lease, { token }: Login, probe: Probe): Promise<TokenEnd> {
    const stays = (why: string): TokenEnd => ({
      revoked: false,
      words: `the lease of ${lease.source} could not be revoked, and lives on for ${formatDuration(lease.seconds * 1000)}, or until the token that made it ends: ${why}`,
    });
    if (lease.foreign !== undefined)
      return { revoked: false, words: `the lease of ${lease.source} is not revoked, ${lease.foreign}` };
    try {
      const reply = await api.write('sys/leases/revoke', { lease_id: lease.id.reveal() }, token, probe);
      if (reply.state !== 'reply') return stays(reply.reason);
      if (succeeded(reply)) return { revoked: true, words: `the lease of ${lease.source} is revoked` };
      const right =
        reply.status === 403 ? '; a policy of the token must allow update on sys/leases/revoke' : '';
      return stays(`${reply.status}${said(reply)}${right}`);
    } catch (error) {
      if (!probe.signal.aborted) throw error;
      return stays('Vault did not answer in time');
    }
  }

  /**
   * Why there is no proof that revoke-self would end the token of our login: an agent or proxy in between may put its
   * own in the place of what we send (https://developer.hashicorp.com/vault/docs/agent-and-proxy/proxy/apiproxy,
   * use_auto_auth_token = "force"). Undefined where it would.
   */
  async function notOurs({ token, accessor }: Login, probe: Probe): Promise<string | undefined> {
    if (accessor === '')
      return `${kept}: its login named no accessor to know it by (batch tokens cannot be revoked)`;
    const reply = await api.read('auth/token/lookup-self', token, probe);
    if (reply.state !== 'reply') return `${kept}: ${reply.reason}`;
    if (!succeeded(reply)) return `${kept}: lookup-self answered ${reply.status}${said(reply)}`;
    const found = asString(asObject(reply.body['data'])?.['accessor']) ?? '';
    redactor.secret(found);
    redactor.secret(asString(asObject(reply.body['data'])?.['id']) ?? '');
    if (found === accessor) return undefined;
    return `the token of this run is not revoked: what answers at ${settings.address.origin} uses another token in its place, as an agent or proxy with use_auto_auth_token = "force" does; it lives on until it expires`;
  }

  async function enter(probe: Probe): Promise<Answer> {
    const asked = clock.now();
    const { login: way, namespace } = settings;
    // Vault makes the token whether or not its answer is waited for: a login that is cut off goes on until `finish`.
    const going = logIn(
      api,
      way,
      { namespace, redactor, now: clock.date() },
      {
        signal: abandoned.signal,
        phase: (text) => probe.phase(text),
        suspect: (hint) => probe.suspect?.(hint),
      },
    );
    const answer = await Promise.race([going, aborted(probe.signal)]);
    if (answer === undefined) {
      const over: Promise<void> = going
        .then((one) => {
          if (one.state === 'logged-in') late.push(one);
          else if (one.mayBeDone && !abandoned.signal.aborted) unread++;
        })
        .catch(() => {})
        .finally(() => underWay.delete(over));
      underWay.add(over);
      return notYet('no answer yet');
    }
    if (answer.state !== 'logged-in') {
      if (answer.mayBeDone) unread++;
      return answer;
    }
    login = answer;
    loginEnds = answer.own && answer.lifetime > 0 ? asked + answer.lifetime * 1000 : Number.POSITIVE_INFINITY;
    return satisfied(`logged in by ${settings.login.method}`);
  }

  /** The seconds that a token has left; 0 where it does not expire, or where Vault will not say. */
  async function lookUp(token: Secret, probe: Probe): Promise<number> {
    const reply = await api.read('auth/token/lookup-self', token, probe);
    if (reply.state !== 'reply' || !succeeded(reply)) return 0;
    return Number(asObject(reply.body['data'])?.['ttl'] ?? 0);
  }

  interface Read {
    readonly answer: FetchAnswer;
    readonly confirm: boolean;
    /** The policies of the token say no. */
    readonly denied?: boolean;
    readonly lease?: Lease;
  }

  async function readSecret(address: SourceAddress, session: Login, probe: Probe): Promise<Read> {
    const wanted = address.options.get('kv');
    const guessed = `${address.path.split('/')[0]}/`;
    const mount: Awaited<ReturnType<typeof mounts.of>> =
      wanted === undefined
        ? await mounts.of(address.path, session.token, probe)
        : { state: 'mount', path: guessed, kv: wanted === '2' ? 2 : 1 };
    if (mount.state === 'not-yet' || mount.state === 'never') return { answer: mount, confirm: false };
    if (address.whole !== undefined) return readWhole(mount, address, session, probe);
    if (mount.state === 'mount') return readFrom(mount, address, session, probe);
    // Vault tells tokens without any right on a mount nothing of it; neither does it where rights come by a wildcard.
    const guess = (kv: 2 | undefined): Promise<Read> =>
      readFrom({ state: 'mount', path: guessed, kv }, address, session, probe, true);
    const asSecond = await guess(2);
    // Only that engine keeps versions.
    if (asSecond.answer.state !== 'never' || address.options.has('version')) return asSecond;
    const asFirst = await guess(undefined);
    return asFirst.answer.state === 'fetched' || (asSecond.denied && !asFirst.denied) ? asFirst : asSecond;
  }

  /**
   * By the path of Vault's API, as consul-template does it (dependency/vault_common.go): `data/` is put in where an engine has
   * versions and the path names none of its parts, and what Vault tells no engine of is read as it is.
   */
  async function readWhole(
    mount: SecretsMount | UnknownMount,
    address: SourceAddress,
    session: Login,
    probe: Probe,
  ): Promise<Read> {
    const { whole, path } = address;
    const kv = mount.state === 'mount' ? mount.kv : undefined;
    const plain: SecretsMount = {
      state: 'mount',
      path: mount.state === 'mount' ? mount.path : `${path.split('/')[0]}/`,
      kv: kv === 1 ? 1 : undefined,
    };
    if (whole?.writes !== undefined) {
      if (kv === undefined) return readFrom(plain, address, session, probe);
      const reason =
        'would be written to by the parameters after the path, and a template only reads a KV engine';
      return { answer: never(exitStatus.refused, reason), confirm: false };
    }
    if (mount.state !== 'mount' || kv !== 2) return readFrom(plain, address, session, probe);
    const inside = path.slice(mount.path.length);
    if (/^(metadata|subkeys)\//.test(inside)) return readFrom(plain, address, session, probe);
    const bare = { ...address, path: mount.path + inside.replace(/^data\//, '') };
    return readFrom(mount, bare, session, probe);
  }

  async function readFrom(
    mount: SecretsMount,
    address: SourceAddress,
    session: Login,
    probe: Probe,
    guessed = false,
  ): Promise<Read> {
    const version = address.options.get('version');
    if (version !== undefined && mount.kv !== 2) {
      const why =
        mount.kv === 1
          ? 'a KV version 1 engine keeps no versions'
          : 'only a KV version 2 engine keeps versions';
      return { answer: never(exitStatus.refused, `cannot read version ${version}: ${why}`), confirm: false };
    }
    const rest = address.path.slice(mount.path.length);
    if (mount.kv !== undefined && rest === '') {
      return {
        answer: never(exitStatus.refused, `${mount.path} is an engine, not a secret in it`),
        confirm: false,
      };
    }
    const apiPath = mount.kv === 2 ? `${mount.path}data/${rest}` : address.path;
    probe.phase(`reading ${apiPath}`);
    const mayLease = mount.kv === undefined;
    if (mayLease) note(address.text, 1);
    const writes = address.whole?.writes;
    const place = `${encodePath(apiPath)}${version === undefined ? '' : `?version=${version}`}`;
    const reply =
      writes === undefined
        ? await api.read(place, session.token, probe, largest)
        : await api.write(place, Object.fromEntries(writes), session.token, probe);
    if (mayLease && (reply.state === 'reply' || reply.mayBeDone !== true)) note(address.text, -1);
    if (reply.state !== 'reply') {
      // Each may be one more user of a database.
      const burdens = mayLease && reply.mayBeDone === true && reply.state === 'not-yet';
      return { answer: burdens ? { ...reply, busy: reply.busy ?? {} } : reply, confirm: false };
    }
    if (!succeeded(reply)) {
      return readFault(reply, {
        apiPath,
        mount: mount.path,
        kv: mount.kv,
        guessed,
        secretPath: address.path,
        version,
        namespace: settings.namespace,
        policies: session.policies,
        written: writes !== undefined,
      });
    }
    return fetchedFrom(reply, mount, address, apiPath);
  }

  function note(source: string, more: number): void {
    const left = (unanswered.get(source) ?? 0) + more;
    if (left > 0) unanswered.set(source, left);
    else unanswered.delete(source);
  }

  function fetchedFrom(
    reply: VaultReply,
    mount: SecretsMount,
    address: SourceAddress,
    apiPath: string,
  ): Read {
    const data = asObject(reply.body['data']);
    const inner = mount.kv === 2 ? asObject(data?.['data']) : data;
    const lease = leaseOf(reply, address, apiPath, redactor);
    // Nothing can be done about one that is named by no text.
    if (lease === undefined && isNamed(reply.body['lease_id'])) note(address.text, 1);
    if (inner === undefined) {
      return {
        ...(lease ? { lease } : {}),
        answer: never(
          exitStatus.refused,
          `answered ${reply.status} without data`,
          'is that path one that can be read?',
        ),
        confirm: false,
      };
    }
    const fields = membersOf(inner);
    registerContent(redactor, { kind: 'fields', fields });
    const content = address.whole ? wholeOf(reply) : pickField(fields, address.field);
    if ('state' in content) return { answer: content, confirm: false, ...(lease ? { lease } : {}) };
    const provenance = provenanceOf(address, mount.kv === 2 ? asObject(data?.['metadata']) : undefined);
    return {
      answer: { state: 'fetched', fetched: { content, secret: true, provenance } },
      confirm: false,
      ...(lease ? { lease } : {}),
    };
  }
}

/** Resolves with nothing when the signal is aborted. */
function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}

/** @param pause milliseconds until then: no attempt is counted meanwhile */
function again(answer: Never, pause: number): NotYet {
  return notYet(answer.reason, {
    hint: `asking once more in case a standby lags${answer.hint === undefined ? '' : `; ${answer.hint}`}`,
    busy: { pause, ours: true },
  });
}

function provenanceOf(
  address: SourceAddress,
  metadata: { readonly [key: string]: FieldValue } | undefined,
): Provenance {
  const time = asString(metadata?.['created_time']);
  const version = asText(metadata?.['version']);
  return {
    source: address.text,
    ...(version === undefined ? {} : { version }),
    ...(time === undefined ? {} : { time }),
  };
}

/** Vault's answer as it is; of its values all are registered. */
function wholeOf({ body }: VaultReply): {
  readonly kind: 'fields';
  readonly fields: Map<string, FieldValue>;
} {
  return { kind: 'fields', fields: membersOf(body) };
}

/** KV version 1 answers a duration without a lease: only an id makes one. */
function leaseOf(
  reply: VaultReply,
  address: SourceAddress,
  apiPath: string,
  redactor: Redactor,
): Lease | undefined {
  const id = asString(reply.body['lease_id']) ?? '';
  return id === ''
    ? undefined
    : {
        id: redactor.secret(id),
        source: address.text,
        seconds: Number(reply.body['lease_duration'] ?? 0),
        ...whyForeign(reply, id, apiPath),
      };
}

/** Whether something that is no text stands where the id of a lease should: there may be a lease all the same. */
function isNamed(id: FieldValue | undefined): boolean {
  return id !== undefined && id !== null && typeof id !== 'string';
}

/**
 * A lease that a cache hands out is that of whoever asked first, and of all that ask later. The id of one begins with the
 * path that was read (https://developer.hashicorp.com/vault/docs/concepts/lease): another is not of this read.
 */
function whyForeign({ cached }: VaultReply, id: string, apiPath: string): Pick<Lease, 'foreign'> {
  if (cached) return { foreign: 'since a cache gave it, and others may use it' };
  const isOfPath =
    id.startsWith(`${apiPath}/`) &&
    /^[\x21-\x7e]+$/.test(id) &&
    !id.split('/').some((part) => /^\.*$/.test(part));
  return isOfPath ? {} : { foreign: 'since its id is not one of the path that was read' };
}

/** A lease dies with its token, whatever its own duration says. */
function leaseNote({ source, seconds }: Lease, lifetime: number): string {
  const withToken = lifetime > 0 && lifetime < seconds;
  const left = formatDuration((withToken ? lifetime : seconds) * 1000);
  return `${source} holds for ${left}${withToken ? ', since it dies with the token that read it' : ''}; nothing renews it after this init container`;
}
