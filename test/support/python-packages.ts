// Packages of PyPI that hold a server, installed once per checkout into a folder that PYTHONPATH can name.
// `pip install --target` needs no venv, works under Debian's "externally managed" Python, and the folder can be renamed.
import { execFileSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';

import { makeOnce, projectCacheDirectory } from './build-cache.ts';
import { MissingTool, whyMissing } from './tools.ts';
import { quote } from './undo.ts';

export interface PythonFolder {
  /** The interpreter itself rather than a version manager's shim. */
  python: string;
  folder: string;
}

/** Why Python packages cannot be installed, or undefined: for requireOrSkip. */
export function canInstallPython(): string | undefined {
  return whyMissing('python3', 'python3');
}

/** The command that is pip: the interpreter's own, or where it has none, a wheel of it from PyPI. */
async function pip(python: string): Promise<readonly string[]> {
  try {
    execFileSync(python, ['-m', 'pip', '--version'], { stdio: 'ignore' });
    return [python, '-m', 'pip'];
  } catch {
    const script = join(import.meta.dirname, 'fetch-pip.py');
    const folder = await makeOnce(
      join(projectCacheDirectory(), 'pip'),
      `${[python, script].map(quote).join(' ')} "$OUT"`,
    );
    const [wheel = ''] = globSync('*.whl', { cwd: folder });
    return [python, join(folder, wheel, 'pip')];
  }
}

/** Installs a requirement such as `moto[server]==5.2.5`, unless it is there; returns its folder. */
export async function pythonPackage(
  requirement: string,
  pipOptions: readonly string[] = [],
): Promise<PythonFolder> {
  const reason = canInstallPython();
  if (reason !== undefined) throw new MissingTool(reason);
  const ask = 'import sys; print(sys.executable); print("%d.%d" % sys.version_info[:2])';
  const [python = '', version = ''] = execFileSync('python3', ['-c', ask], { encoding: 'utf8' }).split('\n');
  const name = `${requirement.replaceAll(/[^\w.-]+/g, '-')}-python${version}`;
  const folder = await makeOnce(
    join(projectCacheDirectory(), name),
    `${[
      ...(await pip(python)),
      'install',
      '--quiet',
      '--no-input',
      '--root-user-action=ignore',
      ...pipOptions,
      requirement,
    ]
      .map(quote)
      .join(' ')} --target "$OUT" >&2`,
  );
  return { python, folder };
}
