// What the tests find on the machine, and what they do when something is missing.
import { accessSync, constants, existsSync, statSync, writeSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** A program, package or privilege that a server of the tests needs is not here. The message says how to get it. */
export class MissingTool extends Error {
  override name = 'MissingTool';
}

/** The first executable file of that name in PATH, or in the folders where Debian keeps daemons. */
export function findInPath(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  for (const folder of folders) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return path;
    } catch {
      // not in this folder
    }
  }
  return undefined;
}

/** As findInPath, but throws MissingTool with the Debian package that has it. */
export function needTool(name: string, debianPackage: string): string {
  const path = findInPath(name);
  if (path === undefined) {
    throw new MissingTool(`${name} is not installed; on Debian: apt-get install -y ${debianPackage}`);
  }
  return path;
}

/** Why a tool cannot be used, or undefined when it can: for requireOrSkip. */
export function whyMissing(name: string, debianPackage: string): string | undefined {
  return findInPath(name) === undefined
    ? `${name} is not installed; on Debian: apt-get install -y ${debianPackage}`
    : undefined;
}

/** True when a missing tool must fail the run: in CI, or with INITBOX_TEST_REQUIRE=all. */
export function everythingIsRequired(): boolean {
  const ci = process.env['CI'];
  return process.env['INITBOX_TEST_REQUIRE'] === 'all' || (ci !== undefined && ci !== '' && ci !== 'false');
}

/**
 * Decides whether tests that need something are skipped, for `describe.skipIf(requireOrSkip('namespaces', canUseNetns()))`.
 * With no reason: false. With a reason it prints what is skipped and why and returns true, or, where everything is
 * required, throws: a skip that nobody sees is a test that cannot fail.
 */
export function requireOrSkip(what: string, reason: string | undefined): boolean {
  if (reason === undefined) return false;
  if (everythingIsRequired()) {
    throw new MissingTool(`${what}: ${reason} (required, as CI or INITBOX_TEST_REQUIRE=all is set)`);
  }
  writeSync(2, `SKIPPED ${what}: ${reason}\n`);
  return true;
}

/** The project's top folder. */
export const projectDirectory = join(import.meta.dirname, '..', '..');

/** The Node that the program is made for: this one when it is new enough, else the one from the dependencies. */
export function nodePath(): string {
  if (Number.parseInt(process.versions.node, 10) >= 26) return process.execPath;
  const packaged = join(projectDirectory, 'node_modules', '.bin', 'node');
  if (!existsSync(packaged)) throw new MissingTool('Node 26 is not here: run `npm ci`');
  return packaged;
}
