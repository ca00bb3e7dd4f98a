import type { Input } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { type Outcome, printed, UsageError } from '../../core/outcome.ts';
import { applySettings } from './apply.ts';
import { type JudgedSetting, judgeSettings } from './judge.ts';
import type { sysctlOptions } from './options.ts';
import { checkedOutcome, jsonOfSettings, setOutcome } from './outcome.ts';
import { isSafe, namespaceOf, usesNodeNetwork } from './scope.ts';
import type { KernelSetting } from './setting.ts';

type SysctlInput = Input<typeof sysctlOptions, readonly KernelSetting[]>;

/** @throws UsageError where the flags do not fit together */
export function checkSysctl({ options }: Pick<SysctlInput, 'options'>): void {
  if (options.check && options['dry-run'])
    throw new UsageError('--check and --dry-run cannot be combined: both change nothing');
}

/** Sets what differs, or tells what does. */
export async function runSysctl(input: SysctlInput, context: Context): Promise<Outcome> {
  checkSysctl(input);
  const { options, positionals: settings } = input;
  using looked = await judgeSettings(settings, options['if-exists'], context);
  for (const { name } of looked.missing)
    context.log.info(`${name} is left out: this kernel does not have it`);
  const { found } = looked;
  if (options['dry-run']) {
    context.stdout(jsonOfSettings(settings, found));
    return printed('printed what would change');
  }
  if (options.check) return checkedOutcome(settings, found);
  const { written, failure } = await applySettings(found, context);
  tellOfPod(written, context);
  return failure ?? setOutcome(settings, found, written);
}

/** Says what needs no privileged container, which is worth knowing where one was used. */
function tellOfPod(changed: readonly JudgedSetting[], { log }: Pick<Context, 'log'>): void {
  for (const { setting, present } of changed) {
    const { name, value, atLeast } = setting;
    const namespace = namespaceOf(name);
    if (!atLeast && /max|backlog|nr_(open|hugepages)/.test(name) && isLowered(present.value, value))
      log.warn(
        `${name} was lowered from ${present.value} to ${value}, for whatever else needs it on this node; ${name}>=${value} would have left it`,
      );
    if (namespace === undefined || (namespace === 'net' && usesNodeNetwork())) continue;
    log.info(
      `${name} was set for this pod alone, not for the node: the pod's securityContext.sysctls can set it without a privileged container, ${
        isSafe(name) ? 'as a safe one' : 'where the kubelet allows it (--allowed-unsafe-sysctls)'
      }`,
    );
  }
}

function isLowered(from: string, to: string): boolean {
  return [from, to].every((value) => /^\d+$/.test(value)) && BigInt(to) < BigInt(from);
}
