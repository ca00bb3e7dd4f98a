import { clusterOptions } from '../../clients/kubernetes/options.ts';
import { roleOptions } from '../../clients/kubernetes/role-options.ts';
import { parseDuration } from '../../core/duration.ts';
import { quoted } from '../../core/misplaced-secret.ts';
import { integer, list, parseText, value, valueOr } from '../../core/options/option.ts';
import { waitOptions } from '../../core/options/shared-options.ts';
import { attemptOptions } from '../../wait/attempt-timeout.ts';
import { parseExpectation } from './expectation.ts';

/** Which objects, and what must hold of them. */
export const objectOptions = {
  for: list({
    description:
      'what must hold: exists, delete, ended (a Job or Pod, well or not), condition=NAME[=STATUS], jsonpath={PATH}[=VALUE]; unset, what the kind is there for (a Job complete, a Pod ready, a Deployment rolled out)',
    placeholder: 'WHAT',
    parse: parseExpectation,
  }),
  key: list({
    description: 'a key that a Secret or ConfigMap must have',
    placeholder: 'KEY',
    parse: parseText,
  }),
  selector: value({
    description: 'labels of the objects, where no name is given, as kubectl takes them',
    placeholder: 'LABELS',
    short: 'l',
    parse: parseText,
  }),
  count: value({
    description: 'of what labels select, so many must be there and right; unset, all, and at least one',
    placeholder: 'COUNT',
    parse: integer({ min: 1, max: 100_000 }),
  }),
  ...clusterOptions,
  'watch-for': valueOr({
    description:
      'how long one watch lasts before a new one goes on; one that has died in silence is noticed by then',
    placeholder: 'DURATION',
    parse: parseWatchTime,
    fallback: '1m',
  }),
};

function parseWatchTime(given: string): number {
  const milliseconds = parseDuration(given);
  if (milliseconds < 1000 || milliseconds > 3_600_000)
    throw new Error(`${quoted(given)} is not from 1s to 1h`);
  return milliseconds;
}

export const waitKubernetesOptions = {
  ...objectOptions,
  ...roleOptions,
  ...attemptOptions,
  ...waitOptions,
};
