import { join } from 'node:path';

import { checkLines } from '../../../config/bounds.ts';
import { previewEdited, publishEdited } from '../../../config/edited-output.ts';
import type { NamedOutput } from '../../../config/outputs.ts';
import { whyNotUtf8 } from '../../../core/byte-order-mark.ts';
import { UsageError } from '../../../core/outcome.ts';
import type { Edit } from '../../../fs/publish/edited-file.ts';
import type { Checker } from '../check/check.ts';
import { decodeUtf8 } from '../data/parse.ts';
import type { RenderOptions } from '../options.ts';
import type { HowToWrite, Rendered, Writing } from '../writing.ts';
import { withBlock } from './marked-block.ts';
import { withLines } from './missing-lines.ts';

/** A block or lines of a file that is there. */
export function intoFile(
  { made: { text, bytes }, output }: Pick<Rendered, 'made' | 'output'>,
  { options, checker, settings, secret }: HowToWrite,
): Writing {
  if (bytes !== undefined)
    throw new UsageError(`${join(output.folder, output.name)}: what goes into it ${whyNotUtf8(bytes)}`);
  const edit = editBy(text, options, join(output.folder, output.name), checker);
  return {
    preview() {
      const { report, warnings } = previewEdited(output, secret, edit, settings);
      return { report: [report], warnings };
    },
    publish: (context) => publishEdited(output, secret, edit, settings, context),
  };
}

/** Looks whether a file can be written into. @throws UsageError or Failure where it cannot */
export function lookInto(output: NamedOutput, how: HowToWrite): void {
  intoFile({ made: { text: '' }, output }, how).preview();
}

/**
 * What is to become of the file.
 * @param shown the file, for messages
 */
function editBy(text: string, options: RenderOptions, shown: string, checker: Checker | undefined): Edit {
  const { block, comment, after, before } = options;
  const latin1 = Buffer.from(text).toString('latin1');
  const change = (bytes: Buffer): Uint8Array => {
    if (bytes.includes(0)) throw new UsageError(`${shown}: it is not text: it holds a NUL byte`);
    const old = bytes.toString('latin1');
    try {
      checkLines(old);
    } catch (error) {
      throw new UsageError(`${shown}: ${(error as Error).message}`, { cause: error });
    }
    const made = Buffer.from(
      block === undefined
        ? withLines(old, latin1)
        : withBlock(
            old,
            latin1,
            {
              name: block,
              comment: comment ?? ['#'],
              beside:
                after !== undefined
                  ? { side: 'after', line: after }
                  : before !== undefined
                    ? { side: 'before', line: before }
                    : undefined,
            },
            shown,
          ),
      'latin1',
    );
    const problem = checker?.(textOf(made, shown));
    if (problem !== undefined)
      throw new UsageError(`${shown}: what it becomes is not ${options.check}, at ${problem}`);
    return made;
  };
  return { change, largest: options['max-size'] };
}

function textOf(bytes: Uint8Array, shown: string): string {
  try {
    return decodeUtf8(bytes);
  } catch (error) {
    throw new UsageError(`${shown}: ${(error as Error).message}`, { cause: error });
  }
}
