import type { Clock } from '../core/clock.ts';
import { startDeadline, type Deadline } from '../core/deadline.ts';
import { formatDuration } from '../core/duration.ts';
import { durationOr } from '../core/options/option.ts';
import { connectHint } from '../core/socket-errors.ts';
import { notYet, type Answer, type NotYet, type Target } from './attempt.ts';
import type { TargetPlan } from './target-plan.ts';

/** Attempts of one target that may be under way at once where each costs the other end something. */
const overlap = 5;

/**
 * Milliseconds for an attempt of which the other end has said that it is at work on it: PgBouncer keeps a client that
 * waits for a server for up to 120 s (query_wait_timeout), and does not notice before then that the client is gone.
 */
const workTime = 130_000;

/** Milliseconds without an answer that mean something: what was cut sooner was perhaps only slow. */
const silence = 1000;

/** The option of commands whose attempts ask a server for something, rather than only connect. */
export const attemptOptions = {
  'attempt-timeout': durationOr({
    description:
      'how long one attempt may take; while it lasts, newer ones start every fifth of it, at most five at once; 0 disables it',
    fallback: '5s',
  }),
};

/**
 * What a limit for one attempt, in milliseconds, asks of the loop: a server that hangs gets few attempts at once, and
 * is asked anew long before the oldest is given up. Without a limit there is one attempt at a time.
 */
export function paced<P extends TargetPlan>(plan: P, limit: number): P {
  return limit === 0 ? { ...plan, overlap: 1, patient: true } : { ...plan, overlap, pace: limit / overlap };
}

/** The target with each attempt cut after so many milliseconds; a cut attempt says where it stood. 0 disables it. */
export function bounded(target: Target, limit: number, clock: Clock): Target {
  /** Whether an attempt has had all of its time: until then, more of it would not have helped. */
  let spent = false;
  return {
    ...target,
    async attempt(probe) {
      let phase = '';
      const startedAt = clock.now();
      let time = startDeadline(clock, probe, limit, '--attempt-timeout');
      const cut = new AbortController();
      const follow = ({ signal }: Deadline): void =>
        signal.addEventListener('abort', () => signal === time.signal && cut.abort(signal.reason));
      if (time.signal.aborted) cut.abort(time.signal.reason);
      follow(time);
      let answer: Answer;
      try {
        answer = await target.attempt({
          signal: cut.signal,
          phase(text) {
            phase = text;
            probe.phase(text);
          },
          reached(stage) {
            probe.reached?.(stage);
          },
          suspect(hint) {
            probe.suspect?.(hint);
          },
          atWork(yes) {
            probe.atWork?.(yes);
            if (limit === 0) return;
            time[Symbol.dispose]();
            time = startDeadline(clock, probe, yes ? Math.max(limit, workTime) : limit, '--attempt-timeout');
            follow(time);
          },
        });
      } finally {
        time[Symbol.dispose]();
      }
      if (answer.state !== 'not-yet' || !cut.signal.aborted) return answer;
      if (!probe.signal.aborted) spent = true;
      const said = probe.signal.aborted ? 'no answer yet' : `no answer within ${formatDuration(limit)}`;
      const silent = unanswered(phase, said, clock.now() - startedAt);
      const slow = silent.hint === silentHint || silent.hint === runningHint;
      const longer = slow ? `${silent.hint} ${spent ? attemptHint : wholeHint}` : silent.hint;
      return notYet(silent.reason, { busy: answer.busy, hint: answer.hint ?? longer });
    },
  };
}

/** What is known of an attempt that was cut where it stood, after so many milliseconds without an answer. */
export function unanswered(phase: string, said: string, lasted: number): NotYet {
  return notYet(phase === '' ? said : `${phase}: ${said}`, {
    hint: phase === runningPhase ? runningHint : lasted >= silence ? hintFor(phase) : undefined,
  });
}

/** What to look at where a connection came about, and nothing after it. */
export const silentHint =
  'it accepts connections and then falls silent: is it overloaded, stopped, or still starting?';

/** The phase of an attempt that runs a command. */
export const runningPhase = 'running';

/** How short a time it had does not matter: nobody else knows how long the command takes. */
const runningHint = 'the command had not ended:';

const attemptHint = 'if it is only slow, --attempt-timeout gives it longer';
const wholeHint = 'if it is only slow, a longer --timeout waits for it';

function hintFor(phase: string): string | undefined {
  if (phase.startsWith('resolving')) return undefined;
  if (phase.startsWith('connecting')) return connectHint('silent');
  return silentHint;
}
