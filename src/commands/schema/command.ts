import { defineCommand } from '../../core/command.ts';
import type { Given } from '../../core/options/resolve-options.ts';
import { printed, UsageError } from '../../core/outcome.ts';

export const schemaCommand = defineCommand({
  name: 'schema',
  summary: 'print the JSON Schema of a file that a command reads',
  description: `Prints the JSON Schema of a file that a command reads, made from the definitions of the commands themselves, so that an editor or a pipeline knows a mistake before a pod does.`,
  examples: ['initbox schema plan'],
  positionals: {
    usage: 'NAME',
    name: 'schema',
    description: 'plan for the steps of run; fetch-spec for the files of fetch-config',
    parse: parseNames,
  },
  options: {},
  afterDashes: 'nothing',
  timeout: '5m',
  step: false,
  async run({ positionals: name }, { commands, stdout }) {
    const all = await Promise.all(Object.values(commands).map((load) => load()));
    const schemas = Object.assign({}, ...all.map((command) => command.schemas)) as NonNullable<
      (typeof all)[number]['schemas']
    >;
    const make = Object.hasOwn(schemas, name) ? schemas[name] : undefined;
    if (make === undefined)
      throw new UsageError(
        `there is no schema ${JSON.stringify(name)}; there are: ${Object.keys(schemas).join(', ')}`,
      );
    stdout(`${JSON.stringify(await make(commands), null, 2)}\n`);
    return printed(`printed the schema ${name}`);
  },
});

function parseNames(given: readonly Given[]): string {
  const [first, second] = given;
  if (first === undefined || second !== undefined)
    throw new UsageError('schema takes one name; for example: initbox schema plan');
  return first.text;
}
