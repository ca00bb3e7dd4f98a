import { execFileSync } from 'node:child_process';

import { image } from './docker.ts';

/** Says what is missing before a hundred tests fail for it. */
export default function setup(): void {
  try {
    execFileSync('docker', ['image', 'inspect', image], { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    const words = String((error as { stderr?: Buffer }).stderr ?? error).trim();
    throw new Error(`no image ${image} to test; npm run image builds it (${words})`, { cause: error });
  }
}
