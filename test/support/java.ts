// A real JVM as a TLS client, without a compiler: keytool of the JRE reads a revocation list from an https address by
// Java's own client, which takes its truststore and keystore from the usual properties.
import { spawn } from 'node:child_process';

import { needTool, whyMissing } from './tools.ts';

export interface JavaStore {
  path: string;
  password: string;
  /** `PKCS12` or `JKS`; Java finds it out unless given. */
  type?: string;
}

export interface JavaResult {
  status: number | null;
  output: string;
}

/** For requireOrSkip. */
export function canUseJava(): string | undefined {
  return whyMissing('keytool', 'default-jre-headless');
}

/** Runs keytool, in English. */
export async function keytool(args: readonly string[]): Promise<JavaResult> {
  const child = spawn(
    needTool('keytool', 'default-jre-headless'),
    ['-J-Duser.language=en', '-J-XX:TieredStopAtLevel=1', '-J-Xmx64m', ...args],
    // Its arguments are taken for UTF-8.
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C.UTF-8' } },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { status, output };
}

/** What a store holds, as keytool lists it. */
export function listStore({ path, password }: JavaStore): Promise<JavaResult> {
  return keytool(['-list', '-v', '-keystore', path, '-storepass', password]);
}

/** Connects to an https address as Java's programs do, and reads what is there (a CRL, or the status is 1). */
export function connectByJava(
  url: string,
  { trust, key }: { trust?: JavaStore; key?: JavaStore },
): Promise<JavaResult> {
  const properties = (name: string, store: JavaStore | undefined): string[] =>
    store === undefined
      ? []
      : [
          `-J-Djavax.net.ssl.${name}=${store.path}`,
          `-J-Djavax.net.ssl.${name}Password=${store.password}`,
          ...(store.type === undefined ? [] : [`-J-Djavax.net.ssl.${name}Type=${store.type}`]),
        ];
  return keytool([
    ...properties('trustStore', trust),
    ...properties('keyStore', key),
    '-printcrl',
    '-file',
    url,
  ]);
}
