import type { AnyCommand, CommandList } from '../../core/command.ts';
import { boundsOf, type Option } from '../../core/options/option.ts';
import { conditionKeys, mostConditions, variablePattern } from './condition.ts';
import { keysOf, namePattern, nameWords, requiredKeys, type StepKey } from './keys.ts';

/** More steps are a program, and no plan. */
export const mostSteps = 200;

type Schema = Readonly<Record<string, unknown>>;

const made = new WeakMap<CommandList, Promise<object>>();

/** The JSON Schema of a plan, from the definitions that the command line's flags come from. */
export function planSchema(commands: CommandList): Promise<object> {
  const schema = made.get(commands) ?? makeSchema(commands);
  made.set(commands, schema);
  return schema;
}

async function makeSchema(commands: CommandList): Promise<object> {
  const loaded = await Promise.all(Object.values(commands).map((load) => load()));
  const usable = loaded.filter(({ step }) => step !== false);
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'A plan of initbox run',
    type: 'object',
    required: ['steps'],
    additionalProperties: false,
    patternProperties: { '^x-': { description: 'a place for anchors; it is not read' } },
    properties: {
      'keep-going': {
        description: 'whether steps that do not need a failed one go on; otherwise all are stopped',
        type: 'boolean',
      },
      steps: {
        description: 'what is to be done; steps start at once, or when all that they need is done',
        type: 'array',
        minItems: 1,
        maxItems: mostSteps,
        items: {
          description: 'a step: its name, what it does, and what it needs',
          type: 'object',
          // Without one of its own, a command's name is never right.
          properties: { uses: { enum: usable.map(({ name }) => name) } },
          allOf: [
            ...usable.map(({ name }) => ({
              if: { type: 'object', required: ['uses'], properties: { uses: { const: name } } },
              // oxlint-disable-next-line unicorn/no-thenable -- JSON Schema's word
              then: { $ref: `#/definitions/${name}` },
            })),
            {
              if: { type: 'object', not: { required: ['uses'] } },
              // oxlint-disable-next-line unicorn/no-thenable -- JSON Schema's word
              then: { $ref: '#/definitions/any-command' },
            },
          ],
        },
      },
    },
    definitions: {
      ...Object.fromEntries(usable.map((command) => [command.name, stepSchema(command)])),
      'any-command': stepSchema(undefined),
      condition: { ...oneCondition, oneOf: [...oneCondition.oneOf, negation] },
      'condition-alone': oneCondition,
    },
  };
}

function stepSchema(command: AnyCommand | undefined): Schema {
  const keys = [...keysOf(command)];
  // What another key may stand for is not required here.
  const required = [...requiredKeys(command, () => true), ...(command === undefined ? [] : ['uses'])];
  return {
    description: command?.summary ?? 'run a command as a child',
    type: 'object',
    required,
    additionalProperties: false,
    properties: Object.fromEntries(keys.map(([name, key]) => [name, keySchema(key, command)])),
  };
}

const text = { type: ['string', 'number'] } as const;
const anyText = { type: ['string', 'number', 'boolean'] } as const;

const whenSchema: Schema = {
  description:
    'the step is left out unless this holds: the name of a variable that is set and not empty, a condition, or a list of them, all of which must hold',
  if: { type: 'array' },
  // oxlint-disable-next-line unicorn/no-thenable -- JSON Schema's word
  then: { type: 'array', minItems: 1, maxItems: mostConditions, items: { $ref: '#/definitions/condition' } },
  else: { $ref: '#/definitions/condition' },
};

const oneCondition = {
  oneOf: [
    { description: 'a variable that is set and not empty', type: 'string', pattern: variablePattern },
    ...Object.entries(conditionKeys).flatMap(([subject, judges]: readonly [string, readonly string[]]) => [
      ...(subject === 'file' ? [] : [conditionSchema(subject)]),
      ...judges.map((judge) => conditionSchema(subject, judge)),
    ]),
  ],
};

const negation: Schema = {
  description: 'a condition that must not hold',
  type: 'object',
  required: ['not'],
  additionalProperties: false,
  properties: { not: { $ref: '#/definitions/condition-alone' } },
};

function conditionSchema(subject: string, judge?: string): Schema {
  return {
    type: 'object',
    required: [subject, ...(judge === undefined ? [] : [judge])],
    additionalProperties: false,
    properties: {
      [subject]: subject === 'variable' ? { type: 'string', pattern: variablePattern } : anyText,
      ...(judge === undefined ? {} : { [judge]: anyText }),
    },
  };
}

function keySchema(key: StepKey, command: AnyCommand | undefined): Schema {
  switch (key.kind) {
    case 'name':
      return { description: nameWords, type: 'string', pattern: namePattern };
    case 'uses':
      return { description: 'the command', const: command?.name };
    case 'when':
      return whenSchema;
    case 'words':
      return {
        description: key.required ? 'the command and its arguments' : 'what runs under the lock',
        type: 'array',
        minItems: 1,
        items: { type: [...text.type, 'boolean'] },
      };
    case 'positional':
      return {
        description: key.description,
        ...(key.many ? severalOf(text) : text),
        ...(key.many && key.required ? { minItems: 1 } : {}),
      };
    case 'about':
    case 'option':
      break;
  }
  return optionSchema(key.option);
}

function optionSchema(option: Option): Schema {
  return {
    description: option.description,
    ...valueSchema(option),
    ...(option.fallbackText === ''
      ? {}
      : { default: option.kind === 'switch' ? option.fallback : option.fallbackText }),
  };
}

function valueSchema(option: Option): Schema {
  if (option.kind === 'switch') return { type: 'boolean' };
  if (option.kind === 'secret') return { type: 'string' };
  const one =
    option.placeholder.includes('|') && option.choices
      ? { enum: spellings(option, option.choices) }
      : { ...text, ...boundsOf(option.parse) };
  return option.kind === 'list' ? severalOf(one) : one;
}

/** The small letters too, where the command takes them. */
function spellings({ parse }: Option, choices: readonly string[]): readonly string[] {
  const small = choices.map((choice) => choice.toLowerCase()).filter((word) => !choices.includes(word));
  return [
    ...choices,
    ...small.filter((word) => {
      try {
        parse(word);
        return true;
      } catch {
        return false;
      }
    }),
  ];
}

/** One value may stand without its list. */
function severalOf(one: Schema): Schema {
  const types = 'enum' in one ? ['string'] : text.type;
  return { type: [...types, 'array'], items: one };
}
