import type { SourceAddress } from '../../../config/source.ts';
import type { TemplateReads } from '../language.ts';
import { Ask, type TemplateScene } from './function.ts';
import { goFunctions } from './functions.ts';
import {
  TemplateFault,
  type GoCommand,
  type GoNode,
  type Operand,
  type ParsedTemplate,
  type Pipe,
} from './nodes.ts';
import { insteadOf } from './refused.ts';
import { consulProblem, fileAddress, keyAddress, secretAddress } from './sources.ts';
import { ValueFault } from './values.ts';

/**
 * A check of each call, by its name and the number of its arguments.
 * @param nearest the known name that a mistyped one may have meant
 */
export function callChecker(
  environment: TemplateScene['environment'],
  nearest: (name: string, known: readonly string[]) => string | undefined,
): (name: string, count: number) => string | undefined {
  return (name, count) => {
    if (name === 'executeTemplate')
      return count === 1 || count === 2 ? undefined : 'executeTemplate takes a name, and a value';
    const called = Object.hasOwn(goFunctions, name) ? goFunctions[name] : undefined;
    if (called === undefined) {
      const near = nearest(name, Object.keys(goFunctions));
      return (
        insteadOf(name) ?? `there is no function ${name}${near === undefined ? '' : `; is ${near} meant?`}`
      );
    }
    if (count < called.min || count > called.max) {
      const wanted =
        called.max === Infinity
          ? `at least ${called.min}`
          : called.min === called.max
            ? String(called.min)
            : `${called.min} to ${called.max}`;
      return `${name} takes ${wanted} argument${wanted === '1' || wanted === 'at least 1' ? '' : 's'}, and this is ${count}`;
    }
    const unset = called.consul ? consulProblem(environment) : undefined;
    return unset && `${name}: ${unset}; or write {{ .NAME }}, and its source as --data NAME=…`;
  };
}

/**
 * Looks through a template's calls for what is wrong with the arguments that are written there, and for what it reads.
 * @param problems gets what is wrong
 */
export function lookThrough(
  { nodes, defined }: ParsedTemplate,
  scene: TemplateScene,
  problems: TemplateFault[],
): TemplateReads {
  const known: SourceAddress[] = [];
  const kinds = new Map<string, SourceAddress>();

  walk(nodes, true);
  for (const others of defined.values()) walk(others, false);
  return { known, kinds: [...kinds.values()] };

  /** @param sure what stands here is evaluated, whatever the values are */
  function walk(list: readonly GoNode[], sure: boolean): void {
    for (const node of list) {
      if ('pipe' in node && node.pipe !== undefined) look(node.pipe, sure);
      if (!('whenTrue' in node)) continue;
      walk(node.whenTrue, sure && node.kind === 'with' && isAnswer(node.pipe));
      walk(node.otherwise, false);
    }
  }

  function look(pipe: Pipe, sure: boolean): void {
    for (const [index, command] of pipe.commands.entries()) lookAt(command, index > 0, sure);
  }

  function lookAt({ first, others }: GoCommand, piped: boolean, sure: boolean): void {
    const decides = first.kind === 'function' && (first.name === 'and' || first.name === 'or');
    for (const [index, operand] of [first, ...others].entries()) {
      if (operand.kind === 'inner') look(operand.pipe, sure && !(decides && index > 1));
      if (operand.kind === 'function') lookAtCall(operand, index === 0 ? others : [], piped, sure);
    }
  }

  function lookAtCall(
    { name, at }: Operand & { readonly kind: 'function' },
    others: readonly Operand[],
    piped: boolean,
    sure: boolean,
  ): void {
    const called = Object.hasOwn(goFunctions, name) ? goFunctions[name] : undefined;
    if (called === undefined) return;
    if (called.vault)
      kinds.set('vault', { ...secretAddress('secret/data/app', undefined), text: `the function ${name}` });
    if (called.files) kinds.set('file', fileAddress('/etc/hostname'));
    if (called.consul && consulProblem(scene.environment) === undefined)
      kinds.set('consul', keyAddress('app', scene, true));
    const [first] = others;
    try {
      if (first?.kind === 'constant' && typeof first.value === 'string')
        called.checkFirst?.(first.value, others.length - 1 + (piped ? 1 : 0));
      const constants = others.map((one) => (one.kind === 'constant' ? one.value : undefined));
      if (piped || (!called.vault && !called.files && !called.consul)) return;
      if (constants.includes(undefined)) return;
      const asked = called.run(
        constants.map((value) => value ?? null),
        scene,
        [],
      );
      if (sure && asked instanceof Ask && asked.address !== undefined) known.push(asked.address);
    } catch (error) {
      if (!(error instanceof ValueFault)) throw error;
      problems.push(new TemplateFault(at, `${name}: ${error.message}`));
    }
  }
}

/** Vault's answer is never nothing: without one, the whole run fails. */
function isAnswer({ commands }: Pipe): boolean {
  const first = commands.at(-1)?.first;
  return first?.kind === 'function' && goFunctions[first.name]?.vault === true;
}
