import { refuseUnexpanded, type Meaning } from '../../core/template-variables.ts';
import type { Parameters } from './parameters.ts';

/** What libpq's parameters are read as; the others are words of a list, or nobody's address. */
const meanings: Readonly<Record<string, Meaning>> = {
  host: 'word',
  hostaddr: 'word',
  port: 'word',
  // A role or a database may have a `$` in its name.
  user: 'name',
  dbname: 'name',
  password: 'secret',
  passfile: 'path',
  sslrootcert: 'path',
  sslcert: 'path',
  sslkey: 'path',
  application_name: 'name',
  // `-c search_path="$user"` is Postgres's own.
  options: 'name',
  datestyle: 'name',
  timezone: 'name',
  geqo: 'name',
};

/** @throws UsageError naming the variable, or the parameter and its URL, that holds a reference nobody replaced */
export function refuseUnexpandedParameters(parameters: Parameters): void {
  for (const [name, meaning] of Object.entries(meanings)) {
    const given = parameters.get(name);
    // An empty one is not set, as in libpq.
    if (given === undefined || given.text === '') continue;
    const folder = name === 'host' && given.text.startsWith('/');
    // What was percent-encoded is meant so.
    refuseUnexpanded(folder ? 'path' : meaning, given.raw ?? given.text, given.origin);
  }
}
