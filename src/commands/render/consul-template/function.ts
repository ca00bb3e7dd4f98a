import type { Fetched, SourceAddress } from '../../../config/source.ts';
import type { Environment } from '../../../core/context.ts';
import type { Value } from './values.ts';

/** What is asked for while a template is evaluated. */
export interface World {
  readonly signal: AbortSignal;
  /** Reads a source, once for the whole run. @throws Failure */
  read(address: SourceAddress): Promise<Fetched>;
}

/** A value that has to be waited for. */
export class Ask {
  readonly answer: (world: World) => Promise<Value>;
  /** What is read for it. */
  readonly address: SourceAddress | undefined;

  constructor(answer: (world: World) => Promise<Value>, address?: SourceAddress) {
    this.answer = answer;
    this.address = address;
  }

  static of(address: SourceAddress, value: (fetched: Fetched) => Value): Ask {
    return new Ask(async (world) => value(await world.read(address)), address);
  }
}

/** What functions know besides their arguments. */
export interface TemplateScene {
  readonly environment: Environment;
  /** Variables that are not UTF-8, and so came to us changed. */
  readonly unreadable: ReadonlySet<string>;
  /** One moment for the whole run. */
  readonly now: Date;
  /** Is told what must never be printed. */
  readonly secret: (value: string) => void;
  /** UTF-16 units that a text may have, and what is written. */
  readonly largest: number;
}

/** A function of the language. */
export interface GoFunction {
  /** The number of arguments that it takes. */
  readonly min: number;
  readonly max: number;
  /** Takes what is not there as well. */
  readonly absent?: boolean;
  /** Takes null, which others refuse. */
  readonly null?: boolean;
  /** It reads Vault, and there is no run without an answer. */
  readonly vault?: boolean;
  readonly consul?: boolean;
  readonly files?: boolean;
  /** Looks at a first argument that stands in the template, and how many follow. @throws ValueFault */
  readonly checkFirst?: (first: string, others: number) => void;
  /**
   * @param written whether each argument stands in the template, and may be shown: another may be a secret, or a piece of one
   * @throws ValueFault
   */
  run(given: readonly Value[], scene: TemplateScene, written: readonly boolean[]): Value | Ask;
}
