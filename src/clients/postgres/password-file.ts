import { withoutByteOrderMark } from '../../core/byte-order-mark.ts';
import { shownPath } from '../../core/misplaced-secret.ts';
import { UsageError } from '../../core/outcome.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { readInput, whyUnread } from '../../fs/input-file.ts';

/** What a line of the file is looked up by. */
export interface PasswordQuestion {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/** A larger file is not one of passwords, in bytes. */
const largest = 1 << 20;

/**
 * The folders that libpq takes where no host is named, upstream's and the distributions'. It looks for `localhost` if
 * the socket is in its own, and for the folder if it is in another.
 */
const defaultFolders: ReadonlySet<string> = new Set(['/tmp', '/var/run/postgresql']);

/**
 * Looks a password up as libpq does (https://www.postgresql.org/docs/current/libpq-pgpass.html): the first line whose
 * fields match, `*` matching anything. The file's mode is not looked at, since a mounted Secret is readable by its
 * group.
 * @throws UsageError where the password consists of references that nobody replaced: it would be sent
 * @returns undefined where no line matches or there is no such file
 */
export function passwordFromFile(path: string, question: PasswordQuestion): string | undefined {
  const text = contentOf(path);
  if (text === undefined) return undefined;
  const hosts = defaultFolders.has(question.host) ? [question.host, 'localhost'] : [question.host];
  const wanted = [hosts, [String(question.port)], [question.database], [question.user]];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.startsWith('#')) continue;
    const fields = splitLine(line);
    if (fields.length < 5) continue;
    if (
      wanted.every(
        (values, place) => fields[place] === '*' || values.includes(unescaped(fields[place] ?? '')),
      )
    ) {
      // As in libpq, a colon without a backslash ends it too.
      const password = fields[4] ?? '';
      refuseUnexpanded('secret', password, `the password in ${path}:${index + 1}`);
      return unescaped(password);
    }
  }
  return undefined;
}

/** As for libpq, one that is missing or may not be read has no password. @throws UsageError where it is not read */
function contentOf(path: string): string | undefined {
  // Said so by who wants none.
  if (path === '/dev/null') return undefined;
  try {
    return withoutByteOrderMark(readInput(path, largest).toString());
  } catch (error) {
    if ('code' in (error as Error)) return undefined;
    throw new UsageError(`the password file ${shownPath(path)} ${whyUnread(error)}`, { cause: error });
  }
}

/** At each colon without a backslash before it. */
function splitLine(line: string): string[] {
  return (
    line
      .match(/(?:\\.|[^:\\])*(?::|$)/gs)
      ?.map((field) => field.replace(/:$/, ''))
      .slice(0, -1) ?? []
  );
}

function unescaped(field: string): string {
  return field.replace(/\\(.)/gs, '$1');
}
