import { exitStatus } from '../../core/exit-status.ts';
import { never, notYet, type Never, type NotYet } from '../../wait/attempt.ts';
import type { ServerError } from './server-errors.ts';

/** What one refusal of a login means. */
interface Refusal {
  readonly code: RegExp;
  /** What tells it from others of its code; a server may speak another language, so that no guess stands on it alone. */
  readonly text?: RegExp;
  /** Waiting does not change it. */
  readonly final: boolean;
  readonly hint?: string;
}

const parameterHint =
  'the parameter comes from options in the URL, or from PGOPTIONS, PGDATESTYLE, PGTZ or PGGEQO: this server does not know it or its value, or does not let this role set it';

const directoryHint =
  'the server asks a directory or another service (LDAP, PAM, RADIUS, IAM): is the password or token right and not expired, and can the server reach it? its log says which';

/**
 * What PostgreSQL says to a login (postinit.c, auth.c, hba.c, backend_startup.c, postgres.c), what PgBouncer says
 * (disconnect_client in client.c, objects.c, janitor.c: with 08P01 but where it repeats a server), and others of their
 * kind. The first that fits counts.
 */
const refusals: readonly Refusal[] = [
  {
    code: /^28P01$/,
    final: true,
    hint: 'is the Secret that holds the password the one of this database’s role?',
  },
  // auth-scram.c; translations keep SCRAM.
  {
    code: /^28000$/,
    text: /\bSCRAM\b/,
    final: true,
    hint: 'something between ends TLS and speaks it anew to the server (a proxy, a mesh, or an attacker): connect to the server directly, or set channel_binding=disable where that is meant',
  },
  {
    code: /^28000$/,
    text: /role .* does not exist/i,
    final: true,
    hint: 'the role must be created first, for example by initbox create-database --owner',
  },
  {
    code: /^28000$/,
    text: /not permitted to log in/i,
    final: true,
    hint: 'run as a superuser: ALTER ROLE … LOGIN',
  },
  {
    code: /^28000$/,
    text: /certificate/i,
    final: true,
    hint: 'pg_hba.conf asks this role for a client certificate: set sslcert and sslkey to one that the server trusts, whose common name is the role’s (or is mapped to it by pg_ident.conf)',
  },
  {
    code: /^28000$/,
    text: /, (no encryption|SSL off)|SSL (connection )?is required/i,
    final: true,
    hint: 'pg_hba.conf accepts this role, database or address with TLS only, or not at all: set sslmode=require',
  },
  {
    code: /^28000$/,
    text: /\b(LDAP|PAM|RADIUS|BSD)\b/,
    // Not tried again: each try counts where an account is locked after some wrong passwords.
    final: true,
    hint: directoryHint,
  },
  {
    code: /^28000$/,
    text: /\b(Peer|Ident)\b/i,
    final: true,
    hint: 'pg_hba.conf compares the role with the operating system’s user of this process (peer, ident): run as that user, or let it ask for scram-sha-256',
  },
  {
    code: /^28000$/,
    final: true,
    hint: 'the server’s pg_hba.conf refuses this role, database, address or lack of TLS; or the role may not log in',
  },
  {
    code: /^3D000$/,
    final: true,
    hint: 'the database must be created first, for example by initbox create-database',
  },
  // pg_upgrade, and the end of a backup in servers before version 15.
  {
    code: /^42501$/,
    text: /(binary upgrade mode|during database shutdown)/i,
    final: false,
    hint: 'the server is being upgraded or shut down',
  },
  { code: /^42501$/, text: /parameter/i, final: true, hint: parameterHint },
  { code: /^42501$/, final: true, hint: 'the role needs CONNECT on this database' },
  {
    code: /^55000$/,
    text: /invalid database/i,
    final: true,
    hint: 'a DROP DATABASE was cut off: drop the database, and create it again',
  },
  {
    code: /^55000$/,
    text: /not currently accepting connections/i,
    final: false,
    hint: 'the database takes no connections at the moment (a restore or an upgrade may do that): ALTER DATABASE … ALLOW_CONNECTIONS true ends it',
  },
  {
    code: /^42601$/,
    text: /project=|endpoint=/,
    final: true,
    hint: 'options=project=… and options=endpoint=… are for Neon’s proxy; the server that answers there is another: remove them, or use Neon’s host name',
  },
  // What options of a URL or PGOPTIONS can cause (process_postgres_switches, SetConfigOption).
  {
    code: /^42601$/,
    text: /command-line argument|requires a value/i,
    final: true,
    hint: 'options in the URL or PGOPTIONS must have the form -c name=value',
  },
  { code: /^(22023|42704|42602|55P02)$/, final: true, hint: parameterHint },
  { code: /^0A000$/, final: true },
  {
    code: /^53300$/,
    final: false,
    hint: 'other clients hold all of the server’s connections: look at max_connections and at pools’ sizes',
  },
  { code: /^57P03$/, final: false, hint: 'the server is starting up or shutting down' },
  {
    code: /^F0000$/,
    final: false,
    hint: 'the server cannot read a file of its own configuration, such as pg_hba.conf: look at its log',
  },
  {
    code: /^58P01$/,
    final: false,
    hint: 'the server lacks a file, such as a library that it loads for each session (session_preload_libraries): look at its log',
  },
  {
    code: /^XX000$/,
    text: /tenant or user not found/i,
    final: false,
    hint: 'Supabase’s pooler knows no such project or role: the user is written ROLE.PROJECT there, the region stands in the host’s name, and a paused project is not known',
  },
  // PgBouncer. What it repeats of its server's refusal is about the pooler's own login, which others may mend.
  {
    code: /^08P01$/,
    text: /^server login (has been failing|failed)/i,
    final: false,
    hint: 'the pooler cannot log in to its server: look at the [databases] section of its configuration, and at its log',
  },
  {
    code: /^08P01$/,
    text: /startup parameter/i,
    final: true,
    hint: 'a pooler answered: it accepts no options at login; connect to the server itself, or remove options from the URL and PGOPTIONS',
  },
  {
    code: /^08P01$/,
    text: /^(password|SASL|SCRAM|"trust") authentication failed|^empty password/i,
    final: true,
    hint: 'a pooler answered: is the Secret that holds the password the one of this role, and does the pooler know it (auth_file, auth_query)?',
  },
  {
    code: /^08P01$/,
    text: /^(LDAP|PAM) authentication failed/i,
    final: true,
    hint: directoryHint,
  },
  {
    code: /^08P01$/,
    text: /^certificate authentication failed/i,
    final: true,
    hint: 'a pooler answered, and asks for a client certificate whose common name is the role: set sslcert and sslkey',
  },
  {
    code: /^08P01$/,
    text: /^SSL required/i,
    final: true,
    hint: 'a pooler answered, and accepts TLS only: set sslmode=require',
  },
  {
    code: /^08P01$/,
    text: /^no such database|^database ".*" does not exist/i,
    final: true,
    hint: 'a pooler answered: its [databases] section names no such database',
  },
  {
    code: /^08P01$/,
    text: /^no such user/i,
    final: true,
    hint: 'a pooler answered: neither its auth_file nor its auth_query knows the role',
  },
  {
    code: /^08P01$/,
    text: /login rejected|not allowed$|^no authentication method|^(username|password) too long/i,
    final: true,
    hint: 'a pooler answered: its auth_hba_file or auth_type refuses this role, database or address',
  },
  {
    code: /^08P01$/,
    text: /no more connections allowed|client connections exceeded/i,
    final: false,
    hint: 'a pooler answered, and other clients hold all of its places: look at max_client_conn and the limits of the database and the role',
  },
  {
    code: /^08P01$/,
    text: /\bis disabled$|_timeout|shutting down|pause failed/i,
    final: false,
    hint: 'a pooler answered, and has no server for this database now: is the database paused or disabled in the pooler, or its server down?',
  },
  {
    code: /^08P01$/,
    text: /bouncer (config error|resources exhaustion)|out of memory|no memory/i,
    final: false,
    hint: 'look at the pooler’s log',
  },
];

/** What the server, or a pooler in front of it, said at login, as an answer. */
export function judgeLogin(error: ServerError, peer: string): NotYet | Never {
  const { code, message } = error;
  const words = `${message} (${code}, ${peer})`;
  const refusal = refusals.find((each) => each.code.test(code) && (each.text?.test(message) ?? true));
  return refusal?.final === true
    ? never(exitStatus.refused, words, refusal.hint)
    : notYet(words, { hint: refusal?.hint });
}
