import { withMerges } from '../../clients/yaml/merge-keys.ts';
import { parseYamlNodes, plainValue, YamlError, type YamlNode } from '../../clients/yaml/nodes.ts';
import type { CommandList } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { hideMisplacedInDocument } from '../../core/misplaced-secret.ts';
import { UsageError } from '../../core/outcome.ts';
import { linkMistakes } from './graph.ts';
import { refusal, where } from './mistakes.ts';
import { inlineSecret, secretWords } from './secrets.ts';
import { linksIn, readShape, type Misshapen } from './shape.ts';
import type { PlanText } from './source.ts';
import { readStep, type Step } from './step.ts';

export interface Plan {
  readonly steps: readonly Step[];
  readonly keepGoing: boolean | undefined;
}

/**
 * Reads and checks a whole plan.
 * @param successor what takes over after it
 * @throws UsageError with every mistake, each with its line and column
 */
export async function readPlan(
  { text, origin }: PlanText,
  context: Pick<Context, 'commands' | 'environment' | 'redactor' | 'host' | 'paths' | 'signal'>,
  successor?: readonly string[],
): Promise<Plan> {
  let root: YamlNode;
  try {
    root = withMerges(parseYamlNodes(text));
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    throw refusal(
      origin,
      [error, ...error.others].map(({ at, message }) => `${where(origin, at)}: ${message}`),
    );
  }
  if (root.kind === 'scalar' && root.value === null)
    throw new UsageError(`${where(origin, root.at)}: the plan is empty; write steps: and a list of them`);
  hideMisplacedInDocument(plainValue(root), context.redactor);
  const shape = await readShape(root, context.commands);
  const mistakes: string[] = [];
  for (const { key, texts } of shape.anchors)
    for (const { text: value, at } of texts) {
      const secret = inlineSecret(value);
      if (secret !== undefined) mistakes.push(`${where(origin, at)}: ${key}: ${secretWords(secret)}`);
    }
  const around = { ...context, successor };
  const steps: Step[] = [];
  for (const step of shape.steps) steps.push(await readStep(step, origin, around, mistakes));
  if (shape.misshapen !== undefined)
    mistakes.push(...(await explain(root, shape.misshapen, context.commands, origin, mistakes)));
  const links = await linkMistakes(shape.misshapen === undefined ? steps : linksIn(root));
  mistakes.push(...links.map(({ at, text: what }) => `${where(origin, at)}: ${what}`));
  if (mistakes.length > 0) throw refusal(origin, [...new Set(mistakes)]);
  return { steps, keepGoing: shape.keepGoing };
}

/**
 * Only a plan that is wrong pays for the schema: loading and compiling it takes longer than most steps.
 * @param told what is known already: of a value that its own reader refused, the schema says the same in other words
 */
async function explain(
  root: YamlNode,
  { at, message }: Misshapen,
  commands: CommandList,
  origin: string,
  told: readonly string[],
): Promise<string[]> {
  const { explainShape } = await import('./explain.ts');
  const mistakes = await explainShape(root, plainValue(root), commands);
  const found = mistakes.length > 0 ? mistakes : [{ at, text: message, ofValue: false }];
  return found
    .filter((one) => !(one.ofValue && told.some((line) => line.startsWith(`${where(origin, one.at)}: `))))
    .map((one) => `${where(origin, one.at)}: ${one.text}`);
}
