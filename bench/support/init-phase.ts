import { startDnsServer } from '../../test/support/dns-server.ts';
import { startBao } from '../../test/support/openbao.ts';
import { startPostgres } from '../../test/support/postgres.ts';

/** The dependencies of a usual init phase, all up: a database, a name server, a Vault with a secret. */
export interface InitPhase extends AsyncDisposable {
  /** `host:port` of the database. */
  readonly address: string;
  /** The name server that knows `db.example`. */
  readonly server: string;
  readonly token: string;
  readonly uid: number;
  /** DATABASE_URL and VAULT_ADDR. */
  readonly environment: Readonly<Record<string, string>>;
}

/** @param name where the name server listens; a free port of 127.0.0.1 unless given */
export async function startInitPhase(name: { address?: string; port?: number } = {}): Promise<InitPhase> {
  await using stack = new AsyncDisposableStack();
  const postgres = stack.use(await startPostgres());
  const dns = stack.use(await startDnsServer(name));
  dns.answer('db.example', 'A', [postgres.host]);
  const bao = stack.use(await startBao());
  await bao.must('POST', 'secret/data/app', { data: { config: 'listen: 8080\n' } });
  const all = stack.move();
  return {
    address: `${postgres.host}:${postgres.port}`,
    server: dns.server,
    token: bao.token,
    uid: process.getuid?.() ?? 0,
    environment: { DATABASE_URL: postgres.url(), VAULT_ADDR: bao.address },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
