import { excerpt, flattened } from '../../core/excerpt.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { never, notYet, type Never, type NotYet } from '../../wait/attempt.ts';
import { NotMongodb, type BsonDocument } from './bson.ts';

/** Characters of a server's words that are shown. */
const mostShown = 300;

/** What waiting does not change (https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml), and what to look at. */
const final: Readonly<Record<number, string>> = {
  11: 'make the user in the database that authSource names',
  13: 'give a user and its password; or the user lacks a role, such as read, in this database',
  18: 'is the Secret that holds the password the one of this server’s user, and authSource the database that the user was made in?',
  31: 'make the role that the user lacks',
  334: 'the server does not take this way to log in: set authMechanism=SCRAM-SHA-1 or SCRAM-SHA-256',
  // Atlas: bad auth.
  8000: 'is the Secret that holds the password the one of this cluster’s user?',
};

const starting = 'the server starts, or joins its replica set: it is waited for';
const stopping = 'the server stops: its successor is waited for';
const electing = 'the replica set elects a primary, which is waited for';

/** What passes, and what is behind it. */
const passing: Readonly<Record<number, string>> = {
  6: 'the server does not reach another one that it needs: look at the pods of the shards and config servers',
  7: 'the server does not find another one that it needs: look at the names of the shards and config servers',
  89: 'the server does not reach another one that it needs: look at the pods of the shards and config servers',
  91: stopping,
  94: 'the replica set is not initiated yet: rs.initiate()',
  133: 'a shard, or the config servers, have no primary yet: look at their pods',
  189: electing,
  202: 'the server does not reach another one in time: look at the pods of the shards and config servers',
  262: 'the server takes too long: look at its load',
  10058: electing,
  10107: electing,
  11600: stopping,
  11602: electing,
  13435: electing,
  13436: starting,
};

/** An answer that says that a command failed. @returns undefined where it did not @throws NotMongodb where it says neither */
export function mongodbErrorIn(
  answer: BsonDocument,
): { readonly code: number; readonly text: string } | undefined {
  const ok = answer.get('ok');
  if (ok === 1 || ok === true) return undefined;
  if (ok !== 0 && ok !== false) throw new NotMongodb();
  const code = answer.get('code');
  const text = answer.get('errmsg');
  return {
    code: typeof code === 'number' ? code : 0,
    text: typeof text === 'string' ? text : 'the command failed',
  };
}

/** What an error of the server means for a wait. */
export function judgeMongodbError(
  { code, text }: { readonly code: number; readonly text: string },
  peer: string,
  redact: (text: string) => string,
): NotYet | Never {
  const words = flattened(excerpt(text, mostShown, redact));
  const said = `${words} (${code === 0 ? '' : `${code}, `}${peer})`;
  const hint = final[code];
  if (hint !== undefined) return never(exitStatus.refused, said, hint);
  return notYet(said, { hint: passing[code] });
}
