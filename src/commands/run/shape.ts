import type { Position, YamlMap, YamlNode } from '../../clients/yaml/nodes.ts';
import type { AnyCommand, CommandList } from '../../core/command.ts';
import { quotedValue } from '../../core/misplaced-secret.ts';
import { textsOfPart } from './condition.ts';
import type { Linked } from './graph.ts';
import { keysOf, mostOfName, requiredKeys, type StepKey } from './keys.ts';
import { mostSteps } from './schema.ts';

/** A plan whose keys are known and whose values are of the right kind, no more. */
export interface Shape {
  readonly steps: readonly StepShape[];
  readonly keepGoing: boolean | undefined;
  /** What stands below keys that are no business of ours. */
  readonly anchors: readonly { readonly key: string; readonly texts: readonly Text[] }[];
  /** The first place that is not so; then of each step only what is right is there. */
  readonly misshapen?: Misshapen;
}

export interface StepShape {
  readonly at: Position;
  readonly command: AnyCommand | undefined;
  /** What `when` says. */
  readonly when: YamlNode | undefined;
  readonly values: readonly {
    readonly key: StepKey;
    readonly name: string;
    readonly texts: readonly Text[];
  }[];
  /** Keys that are missing or not of the right kind: what follows from their absence is no mistake of its own. */
  readonly lost: readonly (StepKey['kind'] | 'unknown')[];
}

export interface Text {
  readonly text: string;
  readonly at: Position;
}

/** The plan is not of the shape that its schema tells; the schema knows the words for it. */
export class Misshapen extends Error {
  readonly at: Position;

  constructor(at: Position, message: string) {
    super(message);
    this.at = at;
  }
}

export async function readShape(root: YamlNode, commands: CommandList): Promise<Shape> {
  const wrong: Misshapen[] = [];
  const told = (error: unknown): undefined => {
    if (!(error instanceof Misshapen)) throw error;
    wrong.push(error);
  };
  let items: readonly YamlNode[] = [];
  let keepGoing: boolean | undefined;
  try {
    ({ items, keepGoing } = readTop(root));
  } catch (error) {
    told(error);
    items = stepsIn(root);
  }
  const read = async (item: YamlNode) => readStepShape(asMap(item, 'a step'), commands, told);
  const steps = await Promise.all(items.map((item) => read(item).catch(told)));
  const [misshapen] = wrong;
  return {
    steps: steps.filter((step) => step !== undefined),
    keepGoing,
    anchors: placesForAnchors(root),
    ...(misshapen === undefined ? {} : { misshapen }),
  };
}

function readTop(root: YamlNode): {
  readonly items: readonly YamlNode[];
  readonly keepGoing: boolean | undefined;
} {
  const plan = asMap(root, 'the plan');
  const known = new Set(['steps', 'keep-going']);
  for (const { key, at } of plan.entries)
    if (!known.has(key) && !isPlaceForAnchors(key)) throw new Misshapen(at, `unknown key ${key}`);
  const steps = valueOf(plan, 'steps');
  if (steps?.kind !== 'list' || steps.items.length === 0)
    throw new Misshapen(steps?.at ?? plan.at, 'the plan needs a list of steps');
  if (steps.items.length > mostSteps)
    throw new Misshapen(
      steps.at,
      `the plan has ${steps.items.length} steps; at most ${mostSteps} are allowed`,
    );
  const going = valueOf(plan, 'keep-going');
  if (going !== undefined && !(going.kind === 'scalar' && typeof going.value === 'boolean'))
    throw new Misshapen(going.at, 'keep-going must be true or false');
  return { items: steps.items, keepGoing: going?.value as boolean | undefined };
}

/** The steps of a plan that may be misshapen; none where they are too many to be looked at. */
function stepsIn(root: YamlNode): readonly YamlNode[] {
  const steps = root.kind === 'map' ? valueOf(root, 'steps') : undefined;
  return steps?.kind === 'list' && steps.items.length <= mostSteps ? steps.items : [];
}

function placesForAnchors(root: YamlNode): Shape['anchors'] {
  if (root.kind !== 'map') return [];
  return root.entries.flatMap(({ key, value }) =>
    isPlaceForAnchors(key) ? [{ key, texts: textsOfPart(value) }] : [],
  );
}

/** A key of the plan that is not read, as Compose has it: what stands there is for anchors. */
function isPlaceForAnchors(key: string): boolean {
  return key.startsWith('x-');
}

/** Names and needs of steps, of which other keys may be wrong. */
export function linksIn(root: YamlNode): readonly Linked[] {
  return stepsIn(root).flatMap((step) => {
    const name = step.kind === 'map' ? valueOf(step, 'name') : undefined;
    if (step.kind !== 'map' || name?.kind !== 'scalar' || name.text === '') return [];
    const needs = valueOf(step, 'needs');
    const given = needs?.kind === 'list' ? needs.items : needs === undefined ? [] : [needs];
    return [
      {
        name: name.text,
        at: name.at,
        needs: given.flatMap((need) =>
          need.kind === 'scalar' && need.value !== null && typeof need.value !== 'boolean' && need.text !== ''
            ? [{ name: need.text, at: need.at }]
            : [],
        ),
      },
    ];
  });
}

async function readStepShape(
  step: YamlMap,
  commands: CommandList,
  told: (error: unknown) => undefined,
): Promise<StepShape> {
  const uses = valueOf(step, 'uses');
  const command = uses === undefined ? undefined : await loadUsed(uses, commands);
  const keys = keysOf(command);
  const lost: (StepKey['kind'] | 'unknown')[] = [];
  for (const required of requiredKeys(command, (name) => valueOf(step, name) !== undefined))
    if (valueOf(step, required) === undefined) {
      told(new Misshapen(step.at, `${subjectOf(step)}"${required}" is missing`));
      lost.push(keys.get(required)?.kind ?? 'unknown');
    }
  const values = step.entries.flatMap(({ key: name, at, value }) => {
    const key = keys.get(name);
    const wrong = (error: unknown): undefined => {
      told(error);
      lost.push(key?.kind ?? 'unknown');
    };
    try {
      if (key === undefined) throw new Misshapen(at, `unknown key ${name}`);
      const texts = key.kind === 'when' ? textsOfPart(value) : textsOf(value, key, wrong);
      return [{ key, name, texts }];
    } catch (error) {
      wrong(error);
      return [];
    }
  });
  return { at: step.at, command, when: valueOf(step, 'when'), values, lost };
}

function subjectOf(step: YamlMap): string {
  const name = valueOf(step, 'name');
  return name?.kind === 'scalar' ? `step ${quotedValue(name.text, mostOfName)}: ` : '';
}

async function loadUsed(uses: YamlNode, commands: CommandList): Promise<AnyCommand> {
  const name = uses.kind === 'scalar' ? uses.text : '';
  const command = Object.hasOwn(commands, name) ? await commands[name]?.() : undefined;
  if (command === undefined || command.step === false)
    throw new Misshapen(uses.at, 'uses must name a command');
  return command;
}

/** @param wrong gets each entry of a list that is of the wrong kind; the others are there all the same */
function textsOf(value: YamlNode, key: StepKey, wrong: (error: Misshapen) => undefined): readonly Text[] {
  const option = key.kind === 'about' || key.kind === 'option' ? key.option : undefined;
  const onlyList = key.kind === 'words';
  const severalTaken = onlyList || (key.kind === 'positional' && key.many) || option?.kind === 'list';
  if (
    value.kind === 'map' ||
    (value.kind === 'list' && !severalTaken) ||
    (value.kind === 'scalar' && onlyList)
  )
    throw new Misshapen(value.at, 'the value is of the wrong kind');
  const nodes = value.kind === 'list' ? value.items : [value];
  const needed = onlyList || (key.kind === 'positional' && key.required);
  if (needed && nodes.length === 0) throw new Misshapen(value.at, 'the list is empty');
  const types = typesOf(key);
  return nodes.flatMap((node) => {
    if (node.kind === 'scalar' && types.includes(typeof node.value))
      return [{ text: node.text, at: node.at }];
    wrong(new Misshapen(node.at, 'the value is of the wrong kind'));
    return [];
  });
}

function typesOf(key: StepKey): readonly string[] {
  // `echo true` is no boolean, whatever YAML says.
  if (key.kind === 'words') return ['string', 'number', 'boolean'];
  const kind = key.kind === 'about' || key.kind === 'option' ? key.option.kind : undefined;
  if (kind === 'switch') return ['boolean'];
  return key.kind === 'name' || kind === 'secret' ? ['string'] : ['string', 'number'];
}

function asMap(node: YamlNode, what: string): YamlMap {
  if (node.kind !== 'map') throw new Misshapen(node.at, `${what} must be a map of keys`);
  return node;
}

function valueOf(map: YamlMap, name: string): YamlNode | undefined {
  return map.entries.find(({ key }) => key === name)?.value;
}
