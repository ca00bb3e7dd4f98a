// Which image stands for which of those that the examples name.
import { spawn } from 'node:child_process';
import { env } from 'node:process';

import { run } from '../../support/build-cache.ts';

/** What a manifest says, the variable that replaces it, and what it is where the variable is not set. */
export const images: Readonly<Record<string, readonly [variable: string, fallback: string]>> = {
  'initbox:0.1.0': ['IMAGE', 'initbox:dev'],
  'registry.example/shop:1.2.3': ['SHOP_IMAGE', 'initbox-test/shop:1.2.3'],
  'postgres:18': ['POSTGRES_IMAGE', 'postgres:18'],
  'nginxinc/nginx-unprivileged:1.29': ['NGINX_IMAGE', 'nginxinc/nginx-unprivileged:1.29'],
  'openbao/openbao:2': ['VAULT_IMAGE', 'openbao/openbao:2'],
  'motoserver/moto:5': ['MOTO_IMAGE', 'motoserver/moto:5'],
};

/** The image to use in place of one that a manifest names; others, such as busybox, stay. */
export function imageFor(name: string): string {
  const known = images[name];
  return known === undefined ? name : (env[known[0]] ?? known[1]);
}

/** The test's own application, made where SHOP_IMAGE names none. */
export async function buildShop(): Promise<void> {
  if (env['SHOP_IMAGE'] !== undefined) return;
  const context = new URL('../shop', import.meta.url).pathname;
  const base = `POSTGRES_IMAGE=${imageFor('postgres:18')}`;
  await run([
    'docker',
    'build',
    '--quiet',
    '--build-arg',
    base,
    '--tag',
    imageFor('registry.example/shop:1.2.3'),
    context,
  ]);
}

/** Hands `docker save` of all images to a command's standard input. */
export async function load(command: string): Promise<void> {
  const names = [...new Set(Object.keys(images).map(imageFor))];
  const script = `docker save "$@" | ${command} >&2`;
  const child = spawn('bash', ['-o', 'pipefail', '-c', script, 'load', ...names], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const status = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (status !== 0) {
    throw new Error(
      `loading ${names.join(', ')} by "${command}" failed (${String(status)}): ${errors.trim()}`,
    );
  }
}
