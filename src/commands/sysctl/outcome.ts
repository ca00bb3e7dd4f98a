import { exitStatus } from '../../core/exit-status.ts';
import { done, failed, type Outcome } from '../../core/outcome.ts';
import { hintsFor, nodeLine } from './explain.ts';
import type { JudgedSetting } from './judge.ts';
import { isSafe, namespaceOf } from './scope.ts';
import type { KernelSetting } from './setting.ts';
import { shortened } from './value.ts';

/** All is as it should be. */
export function setOutcome(
  settings: readonly KernelSetting[],
  found: readonly JudgedSetting[],
  changed: readonly JudgedSetting[],
): Outcome {
  const each = settings.map((setting) => {
    const looked = found.find((one) => one.setting === setting);
    if (looked === undefined) return `${setting.name} is left out`;
    return changed.includes(looked) ? setWords(looked) : rightWords(looked);
  });
  return done(`${each.join('; ')}${changed.length === 0 ? ': nothing was written' : ''}`);
}

/** What --check has found. */
export function checkedOutcome(settings: readonly KernelSetting[], found: readonly JudgedSetting[]): Outcome {
  const wrong = found.filter(({ right }) => !right);
  if (wrong.length === 0) return setOutcome(settings, found, []);
  const each = wrong.map(
    ({ setting, present }) =>
      `${setting.name} is ${present.value === '' ? 'empty' : shortened(present.value)}, and not ${wantedWords(setting)}`,
  );
  return failed(
    exitStatus.failed,
    each.length === 1
      ? `${each[0]}`
      : `${each.length} of ${settings.length} settings are not as they should be`,
    {
      ...(each.length === 1 ? {} : { details: each }),
      hint: hintsFor(wrong.map(({ setting }) => setting)),
    },
  );
}

/** For --dry-run. */
export function jsonOfSettings(settings: readonly KernelSetting[], found: readonly JudgedSetting[]): string {
  const all = settings.map((setting) => {
    const looked = found.find((one) => one.setting === setting);
    const { name, path, value, atLeast } = setting;
    return {
      name,
      path,
      [atLeast ? 'atLeast' : 'value']: value,
      present: looked?.present.value ?? null,
      missing: looked === undefined,
      toChange: looked?.right === false,
      namespace: namespaceOf(name) ?? null,
      safe: isSafe(name),
    };
  });
  const wrong = found.filter(({ right }) => !right).map(({ setting }) => setting);
  return `${JSON.stringify({ settings: all, onNode: wrong.length === 0 ? null : nodeLine(wrong) })}\n`;
}

export function setWords({ setting, present }: JudgedSetting): string {
  return `${setting.name} set to ${shortened(setting.value)} (it was ${present.value === '' ? 'empty' : shortened(present.value)})`;
}

function rightWords({ setting, present }: JudgedSetting): string {
  return setting.atLeast && present.value !== setting.value
    ? `${setting.name} is ${present.value}, at least ${setting.value}`
    : `${setting.name} is ${shortened(present.value)} already`;
}

export function wantedWords({ value, atLeast }: KernelSetting): string {
  return atLeast ? `at least ${value}` : shortened(value);
}
