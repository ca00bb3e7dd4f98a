import { Ask, type TemplateScene } from './function.ts';
import { goFunctions, noKey } from './functions.ts';
import {
  TemplateFault,
  type Branch,
  type GoCommand,
  type GoNode,
  type Operand,
  type ParsedTemplate,
  type Pipe,
} from './nodes.ts';
import {
  Absence,
  GoLoop,
  GoStruct,
  isGoList,
  isMap,
  isTrue,
  kindOfValue,
  outputOf,
  sortedEntries,
  ValueFault,
  type Value,
} from './values.ts';

/** What an evaluation gives in between: something to be waited for, or nothing, where others may have their turn. */
export type Pause = Ask | undefined;

/** An evaluation: it is handed the values that it asks for. */
export type Evaluation<T> = Generator<Pause, T, Value>;

/** What was written, in pieces. */
export interface Written {
  readonly pieces: readonly (string | Uint8Array)[];
  /** What is missing, at all places where it is. */
  readonly faults: readonly TemplateFault[];
}

/** Steps between two pauses, and those that one template may take; a step is a node, an operand or a turn of a loop. */
const stepsInTurn = 2000;
const mostSteps = 2_000_000;

/** Templates that call each other. */
const deepest = 100;

/** Faults that are gathered. */
const mostFaults = 50;

type Left = 'break' | 'continue' | undefined;

/** A variable of a template. */
interface Variable {
  readonly name: string;
  value: Value;
}

/**
 * Evaluates a template as text/template does (text/template/exec.go), less its texts for what is wrong: what is not there and is
 * put out is an error.
 * @param dot what `.` and `$` are at the beginning
 * @param conceal is told of each address that is read and doesn't stand in the template: it may be a secret
 * @throws TemplateFault
 */
export function* evaluate(
  template: ParsedTemplate,
  dot: Value,
  scene: TemplateScene,
  conceal: (address: string) => void,
): Evaluation<Written> {
  const faults: TemplateFault[] = [];
  let pieces: (string | Uint8Array)[] = [];
  let length = 0;
  let steps = 0;
  let level = 0;

  yield* walk(template.nodes, dot, [{ name: '$', value: dot }]);
  return { pieces, faults };

  function write(piece: string | Uint8Array, place: number): void {
    length += piece.length;
    if (length > scene.largest)
      throw new TemplateFault(place, `what it makes has more than ${scene.largest} characters (--max-size)`);
    pieces.push(piece);
  }

  /** Counts a step. @returns whether it is time for a pause */
  function counted(place: number): boolean {
    if (++steps > mostSteps)
      throw new TemplateFault(place, 'it takes too many steps; does it loop over too much?');
    return steps % stepsInTurn === 0;
  }

  function* walk(nodes: readonly GoNode[], here: Value, variables: Variable[]): Evaluation<Left> {
    for (const node of nodes) {
      if (counted(node.at)) yield undefined;
      switch (node.kind) {
        case 'text':
          write(node.text, node.at);
          break;
        case 'action': {
          const value = yield* evaluatePipe(node.pipe, here, variables);
          if (node.pipe.variables.length > 0) break;
          try {
            write(outputOf(value), node.at);
          } catch (error) {
            if (!(error instanceof ValueFault)) throw error;
            faults.push(new TemplateFault(placeOf(node.pipe), error.message));
            if (faults.length >= mostFaults) throw faults[0] as TemplateFault;
          }
          break;
        }
        case 'template':
          yield* call(node.name, node.pipe ? yield* evaluatePipe(node.pipe, here, variables) : null, node.at);
          break;
        case 'if':
        case 'with':
        case 'range': {
          const kept = variables.length;
          const left = yield* branch(node, here, variables);
          variables.length = kept;
          if (left !== undefined) return left;
          break;
        }
        case 'break':
        case 'continue':
        default:
          return node.kind;
      }
    }
    return undefined;
  }

  function* call(name: string, value: Value, place: number): Evaluation<void> {
    if (++level > deepest)
      throw new TemplateFault(place, `templates call each other more than ${deepest} times`);
    yield* walk(template.defined.get(name) ?? [], value, [{ name: '$', value }]);
    level--;
  }

  function* branch(node: Branch, here: Value, variables: Variable[]): Evaluation<Left> {
    if (node.kind === 'range') return yield* loop(node, here, variables);
    const value = yield* evaluatePipe(node.pipe, here, variables);
    if (!isTrue(value)) return yield* walk(node.otherwise, here, variables);
    return yield* walk(node.whenTrue, node.kind === 'with' ? value : here, variables);
  }

  function* loop(node: Branch, here: Value, variables: Variable[]): Evaluation<Left> {
    const { pipe } = node;
    const value = yield* evaluateCommands(pipe, here, variables);
    const entries = at(pipe.at, () => entriesOf(value));
    const kept = variables.length;
    const [first, second] = pipe.variables;
    for (const [key, item] of entries) {
      if (counted(node.at)) yield undefined;
      const named: (readonly [string | undefined, Value])[] =
        second === undefined
          ? [[first, item]]
          : [
              [first, key],
              [second, item],
            ];
      for (const [name, one] of named) if (name !== undefined) set(name, one, pipe.assigns, variables);
      const left = yield* walk(node.whenTrue, item, variables);
      variables.length = kept;
      if (left === 'break') break;
    }
    return entries.length === 0 ? yield* walk(node.otherwise, here, variables) : undefined;
  }

  function set(name: string, value: Value, assigns: boolean, variables: Variable[]): void {
    const found = assigns ? variables.findLast((one) => one.name === name) : undefined;
    if (found === undefined) variables.push({ name, value });
    else found.value = value;
  }

  function* evaluatePipe(pipe: Pipe, here: Value, variables: Variable[]): Evaluation<Value> {
    const value = yield* evaluateCommands(pipe, here, variables);
    for (const name of pipe.variables) set(name, value, pipe.assigns, variables);
    return value;
  }

  function* evaluateCommands(pipe: Pipe, here: Value, variables: Variable[]): Evaluation<Value> {
    let value: Value | undefined;
    for (const command of pipe.commands) value = yield* evaluateCommand(command, value, here, variables);
    return value ?? null;
  }

  function* evaluateCommand(
    { first, others }: GoCommand,
    last: Value | undefined,
    here: Value,
    variables: Variable[],
  ): Evaluation<Value> {
    if (first.kind !== 'function') return yield* evaluateOperand(first, here, variables);
    const { name } = first;
    const given: Value[] = [];
    for (const other of others) {
      given.push(yield* evaluateOperand(other, here, variables));
      // `and` and `or` do not look further than the value that decides.
      if ((name === 'and' && !isTrue(given.at(-1)!)) || (name === 'or' && isTrue(given.at(-1)!)))
        return given.at(-1)!;
    }
    if (last !== undefined) given.push(last);
    const written = others.map(({ kind }) => kind === 'constant');
    return yield* run(name, given, first.at, written);
  }

  function* run(
    name: string,
    given: readonly Value[],
    place: number,
    written: readonly boolean[],
  ): Evaluation<Value> {
    if (name === 'executeTemplate') return yield* execute(given, place);
    const called = goFunctions[name];
    if (called === undefined) throw new TemplateFault(place, `there is no function ${name}`);
    for (const value of given) {
      if (called.absent) break;
      if (value instanceof Absence) throw new TemplateFault(place, `${name}: ${value.words}`);
      if (value === null && !called.null)
        throw new TemplateFault(
          place,
          `${name}: there is no value (null); a condition such as {{ if … }} can ask for it`,
        );
    }
    if (called.vault || called.consul || called.files)
      for (const [index, value] of given.entries())
        if (typeof value === 'string' && !written[index]) conceal(value);
    try {
      const asked = called.run(given, scene, written);
      const made = asked instanceof Ask ? yield* waitFor(asked) : asked;
      if ((typeof made === 'string' || made instanceof Uint8Array) && made.length > scene.largest)
        throw new ValueFault('what it makes is too large (--max-size)');
      return made;
    } catch (error) {
      if (error instanceof ValueFault) throw new TemplateFault(place, `${name}: ${error.message}`);
      if (error instanceof RangeError) throw new TemplateFault(place, `${name}: what it makes is too large`);
      throw error;
    }
  }

  function* waitFor(ask: Ask): Evaluation<Value> {
    return yield ask;
  }

  function* execute([name = null, value = null]: readonly Value[], place: number): Evaluation<Value> {
    if (typeof name !== 'string' || !template.defined.has(name))
      throw new TemplateFault(place, 'executeTemplate: there is no template of that name in this file');
    const outer = pieces;
    pieces = [];
    yield* call(name, value, place);
    const made = pieces;
    pieces = outer;
    if (made.some((piece) => typeof piece !== 'string'))
      throw new TemplateFault(place, 'executeTemplate: what it makes is not UTF-8 text');
    return made.join('');
  }

  function* evaluateOperand(operand: Operand, here: Value, variables: Variable[]): Evaluation<Value> {
    if (counted(operand.at)) yield undefined;
    switch (operand.kind) {
      case 'dot':
        return here;
      case 'constant':
        return operand.value;
      case 'field':
        return below(here, operand.names, operand.at);
      case 'variable': {
        const found = variables.findLast(({ name }) => name === operand.name);
        return below(found?.value ?? null, operand.names, operand.at);
      }
      case 'inner':
        return below(yield* evaluatePipe(operand.pipe, here, variables), operand.names, operand.at);
      case 'function':
      default:
        return yield* run(operand.name, [], operand.at, []);
    }
  }
}

/** Where a reader looks for what an action puts out. */
function placeOf({ at: start, commands }: Pipe): number {
  return commands.at(-1)?.first.at ?? start;
}

/** What is wrong with a value, at a place. */
function at<T>(offset: number, look: () => T): T {
  try {
    return look();
  } catch (error) {
    if (error instanceof ValueFault) throw new TemplateFault(offset, error.message);
    throw error;
  }
}

function below(value: Value, names: readonly string[], offset: number): Value {
  return at(offset, () => names.reduce((inner, name) => fieldOf(inner, name), value));
}

function fieldOf(value: Value, name: string): Value {
  if (isMap(value)) return value.get(name) ?? (value.has(name) ? null : noKey(name, value));
  if (value instanceof GoStruct) {
    const found = value.fields.get(name);
    if (found === undefined)
      throw new ValueFault(
        `.${name} is not a field of ${value.kind}, which has .${[...value.fields.keys()].join(', .')}`,
      );
    return found;
  }
  if (value instanceof Absence) throw new ValueFault(`.${name} of what is not there: ${value.words}`);
  throw new ValueFault(`.${name} of ${value === null ? 'null' : kindOfValue(value)}, which has no fields`);
}

/** What range goes through: a map by its sorted keys, a list, or as many numbers as it is told. */
function entriesOf(value: Value): readonly (readonly [key: Value, item: Value])[] {
  if (value === null || value instanceof Absence) return [];
  if (isMap(value)) return sortedEntries(value);
  const items = value instanceof GoLoop ? value.numbers : value;
  if (isGoList(items)) return items.map((item, index) => [BigInt(index), item]);
  if (typeof value === 'bigint') {
    if (value > 100_000n) throw new ValueFault('range goes through more than 100,000 numbers');
    return Array.from({ length: Math.max(0, Number(value)) }, (_, index) => [BigInt(index), BigInt(index)]);
  }
  throw new ValueFault(`range goes through maps and lists, and this is ${kindOfValue(value)}`);
}
