// A service account as somebody at a desk would be: a kubeconfig file with a token of it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { temporaryDirectory } from '../../support/undo.ts';
import { kubectl } from './kubectl.ts';
import type { Namespace } from './namespace.ts';

interface Config {
  contexts: { name: string; context: Record<string, string> }[];
  users: { name: string; user: Record<string, string> }[];
}

/** Makes a service account without any right; the path of a kubeconfig file for it. */
export async function createAccount(namespace: Namespace, name: string): Promise<string> {
  await namespace.kubectl('create', 'serviceaccount', name);
  const token = await namespace.kubectl('create', 'token', name);
  const config = JSON.parse(await kubectl('config', 'view', '--raw', '--minify', '-o', 'json')) as Config;
  for (const { context } of config.contexts)
    Object.assign(context, { user: name, namespace: namespace.name });
  config.users = [{ name, user: { token } }];
  const path = join(temporaryDirectory('account').path, 'config');
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}
