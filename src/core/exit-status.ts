/**
 * What a status says to whoever reads it: `kubectl describe pod`, a script, the kubelet.
 * 69 and 75 are EX_UNAVAILABLE and EX_TEMPFAIL of sysexits.h; 124, 126, 127 and 128+n are what
 * timeout(1) and POSIX shells use.
 */
export const exitStatus = {
  done: 0,
  failed: 1,
  usage: 2,
  refused: 69,
  lockLost: 75,
  deadline: 124,
  notExecutable: 126,
  notFound: 127,
} as const;

/** The signals that end the program, with their numbers (signal(7)). */
export const endingSignals = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const;

export type EndingSignal = keyof typeof endingSignals;

/** The status of a process ended by this signal, as shells report it. */
export function signalStatus(signal: EndingSignal): number {
  return 128 + endingSignals[signal];
}

export interface ExitRow {
  readonly status: string;
  readonly meaning: string;
  readonly restart: string;
}

/** The promise to users, in the order in which help and README print it. */
export const exitTable: readonly ExitRow[] = [
  { status: '0', meaning: 'done', restart: '' },
  { status: '1', meaning: 'any other error', restart: '' },
  { status: '2', meaning: 'usage or configuration: nothing was tried', restart: 'the same' },
  {
    status: '69',
    meaning:
      'a dependency answered, and waiting will not change its answer (wrong password, permission denied, not found, checksum differs)',
    restart: 'the same',
  },
  {
    status: '75',
    meaning: 'the lock was lost while the command ran; the command was stopped',
    restart: 'try again',
  },
  { status: '124', meaning: 'the deadline passed', restart: 'try again' },
  {
    status: '126, 127',
    meaning: 'the command after `--` could not be run, was not found',
    restart: 'the same',
  },
  { status: '128+n', meaning: "ended by signal n, its own or its child's", restart: '' },
  { status: 'other', meaning: "the child's own", restart: '' },
];
