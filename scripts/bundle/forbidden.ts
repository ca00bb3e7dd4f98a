import type { BundledPackage } from './bundled-packages.ts';

/** Packages that must not reach the bundle, and why. */
const forbidden: Readonly<Record<string, string>> = {
  axios: 'an HTTP client with a history of advisories; what speaks HTTP here is our own client',
  'follow-redirects': 'forwards credentials by rules that are not ours',
  esbuild: 'a build tool',
  vitest: 'a test tool',
  typescript: 'a build tool',
};

/** Licences whose text may be shipped beside the bundle without further duties. */
const licences = new Set([
  'MIT',
  'ISC',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  '0BSD',
  'BlueOak-1.0.0',
  'Unlicense',
]);

/** @throws Error that names every package that may not be shipped, and why */
export function assertAllowed(packages: readonly BundledPackage[]): void {
  const refused = packages.flatMap(({ name, licence, folder }) => {
    const why = forbidden[name] ?? (licences.has(licence) ? undefined : `its licence is ${licence}`);
    return why ? [`${folder}: ${why}`] : [];
  });
  if (refused.length > 0) throw new Error(`these may not be in the bundle:\n  ${refused.join('\n  ')}`);
}
