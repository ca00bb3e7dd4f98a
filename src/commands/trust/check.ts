import { checkPair } from '../../clients/http/options.ts';
import type { Input, Surroundings } from '../../core/command.ts';
import type { Environment } from '../../core/context.ts';
import { everyOne, UsageError } from '../../core/outcome.ts';
import { sourcesAmong } from './add-sources.ts';
import type { trustOptions, TrustOptions } from './options.ts';
import { keyTargets, outputsOf, storeTargets, trustTargets } from './outputs.ts';

/**
 * Checks what can be told without a file.
 * @throws UsageError, as runTrust does for the same
 */
export async function checkTrust(
  { options }: Input<typeof trustOptions, undefined>,
  { environment, ...around }: Pick<Surroundings, 'environment' | 'redactor' | 'paths'>,
): Promise<void> {
  everyOne(
    [
      () => checkTargets(options),
      () => checkKey(options),
      () => checkPassword(options),
      () => void outputsOf(options),
      () => checkVariables(options, environment),
      () => checkPair(options),
    ],
    (check) => check(),
  );
  const addresses = [...sourcesAmong(options.add, around.redactor).values()];
  if (addresses.length === 0 || environment === undefined) return;
  const { checkSources } = await import('../../clients/sources/check.ts');
  await checkSources(addresses, { ...options, secret: false, public: false }, { ...around, environment });
}

function given(options: TrustOptions, names: readonly (keyof TrustOptions)[]): string | undefined {
  const name = names.find((one) => options[one] !== undefined && options[one] !== false);
  return name === undefined ? undefined : `--${name}`;
}

function checkTargets(options: TrustOptions): void {
  const looks = options['from-server'] !== undefined;
  const chosen = options.pin.length > 0 ? '--pin' : given(options, ['unverified']);
  if (chosen !== undefined && !looks)
    throw new UsageError(`${chosen} says what to trust of --from-server, and that is not given`);
  const added = options.add.length > 0 ? '--add' : given(options, ['system', 'base']);
  const trust = given(options, trustTargets);
  if (looks && trust !== undefined && chosen === undefined)
    throw new UsageError(
      `${trust}: what --from-server shows proves nothing about who the server is: give --pin with the SHA-256 that its owner names, or --unverified to trust whoever answers`,
    );
  // By itself it is a look, and nothing is written.
  if (looks && trust === undefined && added === undefined) return;
  const source = added ?? (looks ? '--from-server' : undefined);
  if (trust === undefined && given(options, keyTargets) === undefined)
    throw new UsageError(
      'nothing says what to write: give --bundle, --hash-dir, --pkcs12 or --jks, or for a keystore --key-pkcs12 or --key-jks',
    );
  if (trust !== undefined && source === undefined)
    throw new UsageError(
      `${trust}: nothing says which certificates to trust: give --add, --system, --base, or --from-server with --pin`,
    );
  if (trust === undefined && source !== undefined)
    throw new UsageError(
      `${source} says what to trust, and nothing is written of it: give --bundle, --hash-dir, --pkcs12 or --jks`,
    );
}

function checkKey(options: TrustOptions): void {
  const target = given(options, keyTargets);
  const [key, cert] = [given(options, ['key']), given(options, ['cert'])];
  if (target !== undefined && (key === undefined || cert === undefined))
    throw new UsageError(`${target} needs --key and --cert`);
  const password = given(options, ['key-password', 'key-password-env']);
  const unused = key ?? cert ?? password;
  if (target === undefined && unused !== undefined)
    throw new UsageError(`${unused} is for a keystore: give --key-pkcs12 or --key-jks`);
}

function checkPassword(options: TrustOptions): void {
  const store = given(options, storeTargets);
  const password = given(options, ['password', 'password-env']);
  if (store !== undefined && password === undefined)
    throw new UsageError(`${store} needs a password: give --password-file or --password-env`);
  if (store === undefined && password !== undefined)
    throw new UsageError(
      `${password === '--password' ? '--password-file' : password} is the password of a store, and none is written`,
    );
}

function checkVariables(options: TrustOptions, environment: Environment | undefined): void {
  if (environment === undefined) return;
  everyOne(['password-env', 'key-password-env'] as const, (name) => {
    const variable = options[name];
    if (variable !== undefined && !environment[variable])
      throw new UsageError(`--${name}: the variable ${variable} is not set, or empty`);
  });
}
