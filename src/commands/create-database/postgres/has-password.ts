import { textOrNullIn } from '../../../clients/postgres/answer-row.ts';
import { connectPostgres } from '../../../clients/postgres/connect.ts';
import type { ConnectionSettings } from '../../../clients/postgres/connection-string.ts';
import type { ConnectContext } from '../../../clients/postgres/login.ts';
import { quotedText } from '../../../clients/postgres/quoted.ts';
import { isVerifierOf } from '../../../clients/postgres/scram-verifier.ts';
import { isServerError, sqlState } from '../../../clients/postgres/server-errors.ts';
import type { Session } from '../../../clients/postgres/session.ts';
import type { Context } from '../../../core/context.ts';
import type { Secret } from '../../../core/redaction/redactor.ts';
import type { Probe } from '../../../wait/attempt.ts';

interface Question {
  readonly owner: string;
  readonly password: Secret;
  /** Of a role that may look into pg_authid, or not. */
  readonly session: Session;
  readonly connection: ConnectionSettings;
  /** The database that the owner is to have, and whether it is there. */
  readonly wanted: string;
  readonly exists: boolean;
}

/** Whether a role has this password already: by what the server keeps of it, or else by a login. */
export async function hasPassword(
  question: Question,
  context: Context & Pick<ConnectContext, 'resolve'>,
): Promise<boolean> {
  const { owner, password, session } = question;
  try {
    const { rows } = await session.query(
      `SELECT a.rolpassword AS stored FROM pg_catalog.pg_authid AS a WHERE a.rolname OPERATOR(pg_catalog.=) ${quotedText(owner)}::pg_catalog.name`,
      undefined,
      { signal: context.signal },
    );
    const stored = rows[0] === undefined ? null : textOrNullIn(rows[0], 'stored');
    return stored !== null && (await isVerifierOf(stored, owner, password.reveal()));
  } catch (error) {
    if (!isServerError(error) || error.code !== sqlState.insufficientPrivilege) throw error;
  }
  return await logsIn(question, context);
}

/**
 * A login that asks for no password proves nothing. What comes after the password is no objection: that the role may not
 * use this database, or that there is none of its name.
 */
async function logsIn(
  { owner, password, connection, wanted, exists }: Question,
  context: Context & Pick<ConnectContext, 'resolve'>,
): Promise<boolean> {
  let asked = false;
  const spied: Secret = Object.assign(Object.create(password) as Secret, {
    reveal: () => {
      asked = true;
      return password.reveal();
    },
  });
  const probe: Probe = { signal: context.signal, phase: () => {} };
  const answer = await connectPostgres(
    {
      ...connection,
      user: owner,
      database: exists ? wanted : connection.database,
      hosts: connection.hosts.map((host) => ({ ...host, password: spied })),
    },
    context,
    probe,
  );
  if (answer.state === 'connected') {
    await answer.session.end();
    return asked;
  }
  return asked && /\((42501|3D000)\b/.test(answer.reason);
}
