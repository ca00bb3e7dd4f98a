import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

import type { Environment } from '../../core/context.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { readInput } from '../../fs/input-file.ts';

/** Of a file that is read here, in bytes. */
const largest = 1 << 20;

/** Variables whose value is a secret, and those that name a file with one. */
const secrets = [
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN',
  'AWS_BEARER_TOKEN_BEDROCK',
];
const secretFiles = ['AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'];

/** Keys of profiles whose value is a secret. A process may be given one as an argument. */
const secretKeys: ReadonlySet<string> = new Set([
  'aws_secret_access_key',
  'aws_session_token',
  'external_id',
  'credential_process',
]);

/** A line `KEY = VALUE` of a shared file: https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html */
export interface Setting {
  /** The variable that names the file, or the path where it stands by default. */
  readonly file: string;
  readonly section: string;
  readonly key: string;
  readonly value: string;
}

/** Where the SDK looks for profiles. */
function sharedFiles(environment: Environment): readonly (readonly [name: string, path: string])[] {
  return [
    ['AWS_CONFIG_FILE', 'config'],
    ['AWS_SHARED_CREDENTIALS_FILE', 'credentials'],
  ].map(([variable = '', name = '']) => {
    const named = environment[variable];
    const usual = awsFile(environment, name);
    return named ? [variable, named] : [usual, usual];
  });
}

/** Whether profiles are there, or a variable names a file for them, which may have to be made yet. */
export function mayHaveProfiles(environment: Environment): boolean {
  return sharedFiles(environment).some(([name, path]) => name !== path || existsSync(path));
}

/** The settings of all profiles, also those of services, which are indented below their name. */
export function sharedSettings(environment: Environment): Setting[] {
  return sharedFiles(environment).flatMap(([file, path]) => {
    let section = '';
    return readOrNothing(path)
      .split(/\r?\n/)
      .flatMap((line) => {
        const text = line.trim();
        const [, name] = /^\[([^\]]*)\]/.exec(text) ?? [];
        if (name !== undefined) section = name.trim();
        const [, key = '', value = ''] = /^([^#;[=\s][^=]*?)\s*=\s*(.*)$/.exec(text) ?? [];
        return key === '' || value === '' ? [] : [{ file, section, key: key.toLowerCase(), value }];
      });
  });
}

/** Folders in which the SDK keeps logins of people, as JSON (SSO and `aws login`). */
const loginFolders = ['sso/cache', 'login/cache'];

/** Keys of such a login whose value is a secret. */
const loginSecret = /token|secret|key$/i;

/** The secrets in the logins that are kept beside the profiles. */
function loginSecrets(environment: Environment): string[] {
  const found: string[] = [];
  const take = (value: unknown, key: string): void => {
    if (typeof value === 'string' && loginSecret.test(key)) found.push(value);
    if (typeof value === 'object' && value !== null)
      for (const [name, inner] of Object.entries(value)) take(inner, name);
  };
  for (const folder of loginFolders) {
    const path = awsFile(environment, folder);
    for (const name of namesIn(path)) {
      try {
        take(JSON.parse(readOrNothing(join(path, name)) || 'null'), '');
      } catch {
        // no login
      }
    }
  }
  return found;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.json'));
  } catch {
    return [];
  }
}

function awsFile(environment: Environment, name: string): string {
  return join(environment['HOME'] || homedir(), '.aws', name);
}

/** Registers the secrets that the SDK reads by itself, with no word to us. */
export function hideSecrets(environment: Environment, redactor: Redactor): void {
  const settings = sharedSettings(environment);
  const values = [
    ...secrets.map((name) => environment[name] ?? ''),
    ...secretFiles.map((name) => readOrNothing(environment[name] ?? '')),
    ...settings.filter(({ key }) => secretKeys.has(key)).map(({ value }) => value),
    ...settings
      .filter(({ key }) => key === 'web_identity_token_file')
      .map(({ value }) => readOrNothing(withoutComment(value))),
    // They are there only where somebody logged in, and then a profile names the login.
    ...(settings.some(({ key }) => /^(sso|login)_/.test(key)) ? loginSecrets(environment) : []),
  ];
  for (const value of values) {
    const whole = value.trim();
    if (whole === '') continue;
    redactor.secret(whole);
    redactor.secret(withoutComment(whole));
    // A JWT: a server may quote one of its parts.
    const parts = whole.split('.');
    if (parts.length === 3) for (const part of parts) if (part.length > 15) redactor.secret(part);
  }
}

/** As the SDK cuts it off. */
export function withoutComment(value: string): string {
  return value.replace(/\s[#;].*$/s, '').trim();
}

/** True where a profile makes the SDK ask the agent of the container itself, or a process that may do so. */
export function asksOthers(environment: Environment): boolean {
  return sharedSettings(environment).some(({ key }) => /^credential_(source|process)$/.test(key));
}

/** What cannot be read is told by whoever needs it. */
function readOrNothing(path: string): string {
  // Said so by who wants none.
  if (path === '' || path === '/dev/null') return '';
  try {
    return readInput(path, largest).toString();
  } catch {
    return '';
  }
}
