import { type Clock, sleep } from '../core/clock.ts';
import { libcAtOnce, lockAlone } from '../process/libc.ts';
import { Directory } from './directory/directory.ts';
import { isLocal, mountId, readMounts } from './directory/mounts.ts';

/** Before another look at a folder that another run holds, in milliseconds. */
const pause = 50;

/**
 * Waits until no other run on this machine works on a folder, and holds it then: by flock(2) of the folder itself, which
 * leaves nothing on the volume and ends with the process. Runs on other machines, and those on a file system of a server,
 * are not seen.
 * @param patience how long to wait, in milliseconds; undefined until the signal
 * @param waiting is called once where it has to wait
 * @returns undefined where it could not be had
 * @throws the signal's reason
 */
export async function holdFolder(
  folder: Directory,
  { signal, clock }: { readonly signal: AbortSignal; readonly clock: Clock },
  patience: number | undefined,
  waiting: () => void = () => {},
): Promise<Disposable | undefined> {
  const libc = libcAtOnce();
  const id = mountId(folder.fd);
  const mount = readMounts().find((one) => one.id === id);
  if (libc === undefined || mount === undefined || !isLocal(mount)) return undefined;
  // A descriptor of its own: the lock ends with it, whatever else is open.
  using stack = new DisposableStack();
  const own = stack.use(Directory.open(folder.itself));
  const end = patience === undefined ? Number.POSITIVE_INFINITY : clock.now() + patience;
  for (let first = true; libc.flock(own.fd, lockAlone) !== 0; first = false) {
    if (clock.now() >= end) return undefined;
    if (first) waiting();
    await sleep(clock, pause, signal);
  }
  return stack.move();
}
