// Which image stands for which of those that the examples name.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';

import { run } from '../../support/build-cache.ts';
import { projectDirectory } from '../../support/tools.ts';

/** What a manifest says, the variable that replaces it, and what it is where the variable is not set. */
export const images: Readonly<Record<string, readonly [variable: string, fallback: string]>> = {
  'initbox:0.1.0': ['IMAGE', 'initbox:dev'],
  'registry.example/shop:1.2.3': ['SHOP_IMAGE', 'initbox-test/shop:1.2.3'],
  'registry.example/shop-with-initbox:1.2.3': [
    'SHOP_WITH_INITBOX_IMAGE',
    'initbox-test/shop-with-initbox:1.2.3',
  ],
  'registry.example/api:1.2.3': ['API_IMAGE', 'initbox-test/api:1.2.3'],
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

/** The tests' own applications, each made where its variable names none. */
export async function buildApplications(): Promise<void> {
  await buildIn('../shop', 'registry.example/shop:1.2.3', ['POSTGRES_IMAGE', imageFor('postgres:18')]);
  await buildIn('../api', 'registry.example/api:1.2.3', ['BUSYBOX_IMAGE', env['MUSL_IMAGE']]);
  await buildExample('initbox-in-your-image', 'registry.example/shop-with-initbox:1.2.3');
}

async function buildIn(
  folder: string,
  name: string,
  [argument, base]: readonly [string, string | undefined],
): Promise<void> {
  if (isGiven(name)) return;
  const context = new URL(folder, import.meta.url).pathname;
  const arguments_ = base === undefined ? [] : ['--build-arg', `${argument}=${base}`];
  await run(['docker', 'build', '--quiet', ...arguments_, '--tag', imageFor(name), context]);
}

/** What the Dockerfile of an example makes, from the images that are here. */
async function buildExample(example: string, name: string): Promise<void> {
  if (isGiven(name)) return;
  const path = join(projectDirectory, 'examples', example, 'Dockerfile');
  const input = Object.keys(images).reduce(
    (text, one) => text.replaceAll(one, imageFor(one)),
    readFileSync(path, 'utf8'),
  );
  await run(['docker', 'build', '--quiet', '--tag', imageFor(name), '-'], { input });
}

function isGiven(name: string): boolean {
  return env[images[name]?.[0] ?? ''] !== undefined;
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
