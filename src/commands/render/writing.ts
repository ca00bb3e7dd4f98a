import {
  dryReport,
  publishOutput,
  type DryFile,
  type NamedOutput,
  type Output,
  type OutputContent,
  type OutputSettings,
} from '../../config/outputs.ts';
import { whyNotUtf8 } from '../../core/byte-order-mark.ts';
import type { Context } from '../../core/context.ts';
import type { Published } from '../../fs/publish/published.ts';
import type { Checker } from './check/check.ts';
import { forAll, type MadeText } from './language.ts';
import type { RenderOptions } from './options.ts';
import type { Template } from './templates.ts';

/** What is left to do once everything is rendered. */
export interface Writing {
  /** What would be written; nothing is. */
  preview(): {
    readonly report: readonly Pick<DryFile, 'path' | 'size' | 'mode'>[];
    readonly warnings: readonly string[];
  };
  publish(context: Context): Promise<Published>;
}

/** What one template made, and where it goes. */
export interface Rendered {
  readonly template: Template;
  readonly made: MadeText;
  readonly output: NamedOutput;
}

export interface HowToWrite {
  readonly options: RenderOptions;
  readonly checker: Checker | undefined;
  readonly settings: OutputSettings;
  readonly secret: boolean;
}

/** Files of their own, all or none. @throws UsageError where one does not parse */
export async function wholeFiles(
  rendered: readonly Rendered[],
  { options, checker, settings, secret }: HowToWrite,
): Promise<Writing> {
  if (checker !== undefined) {
    await forAll(rendered, ({ made: { text, bytes } }) => {
      const problem = bytes === undefined ? checker(text) : whyNotUtf8(bytes);
      return problem === undefined
        ? {}
        : { problems: [` what it makes is not ${options.check}, at ${problem}`] };
    });
  }
  const outputs = rendered.map(({ output }) => output);
  const contents = new Map<Output, OutputContent>(
    rendered.map(({ made: { text, bytes }, output }) => [
      output,
      { content: { kind: 'value', value: bytes ?? Buffer.from(text) }, secret },
    ]),
  );
  return {
    preview() {
      const warnings: string[] = [];
      const files = dryReport(outputs, contents, (warning) => warnings.push(warning));
      return { report: files.map(({ path, size, mode }) => ({ path, size, mode })), warnings };
    },
    publish: (context) => publishOutput(outputs, contents, settings, context),
  };
}
