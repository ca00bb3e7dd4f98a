import {
  checkVariableName,
  FormatError,
  longestVariable,
  plainText,
  quotedKey,
} from '../../config/formats/entries.ts';
import type { Content } from '../../config/formats/format.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { Failure, failed } from '../../core/outcome.ts';

/**
 * Fields as variables of the command that takes over.
 * @throws Failure naming the field that no variable can hold; never a value
 */
export function variablesOf(content: Content): Readonly<Record<string, string>> {
  if (content.kind === 'value')
    throw refused('there is one value without a name; leave #FIELD out, or pick from JSON');
  const variables = Object.create(null) as Record<string, string>;
  for (const [name, value] of content.fields) {
    try {
      checkVariableName(name, '--env');
      variables[name] = plainText(name, value, '--env');
    } catch (error) {
      if (error instanceof FormatError) throw refused(error.message);
      throw error;
    }
    const size = Buffer.byteLength(`${name}=${variables[name]}`) + 1;
    if (size > longestVariable)
      throw refused(
        `${quotedKey(name)} has ${size} bytes with its name, and Linux takes ${longestVariable} in one variable; write it to a file`,
      );
  }
  return variables;
}

function refused(why: string): Failure {
  return new Failure(failed(exitStatus.refused, `cannot make the environment: ${why}`));
}
