/** A template as it was read: what text/template's parser makes (https://pkg.go.dev/text/template). */

/** Where something stands: UTF-16 units from the beginning of the template. */
interface At {
  readonly at: number;
}

/** What gives one value. */
export type Operand = At &
  (
    | { readonly kind: 'dot' }
    | { readonly kind: 'constant'; readonly value: string | bigint | number | boolean | null }
    /** `.a.b` */
    | { readonly kind: 'field'; readonly names: readonly string[] }
    /** `$x.a`; the name with its dollar */
    | { readonly kind: 'variable'; readonly name: string; readonly names: readonly string[] }
    /** A function by its name. */
    | { readonly kind: 'function'; readonly name: string }
    /** `( … ).a`; without names, what stands in parentheses */
    | { readonly kind: 'inner'; readonly pipe: Pipe; readonly names: readonly string[] }
  );

/** A function with its arguments, or one operand alone. */
export interface GoCommand extends At {
  readonly first: Operand;
  readonly others: readonly Operand[];
}

/** `$x := a | b`: each command's value is the last argument of the next one. */
export interface Pipe extends At {
  readonly variables: readonly string[];
  /** `=`, where the variable is there already. */
  readonly assigns: boolean;
  readonly commands: readonly GoCommand[];
}

export interface Branch extends At {
  readonly kind: 'if' | 'with' | 'range';
  readonly pipe: Pipe;
  readonly whenTrue: readonly GoNode[];
  readonly otherwise: readonly GoNode[];
}

export type GoNode =
  | Branch
  | (At &
      (
        | { readonly kind: 'text'; readonly text: string }
        | { readonly kind: 'action'; readonly pipe: Pipe }
        | { readonly kind: 'template'; readonly name: string; readonly pipe: Pipe | undefined }
        | { readonly kind: 'break' | 'continue' }
      ));

/** A template, and those that it defines within itself. */
export interface ParsedTemplate {
  readonly nodes: readonly GoNode[];
  readonly defined: ReadonlyMap<string, readonly GoNode[]>;
}

/** Something that is wrong with a template, at a place of it. The message holds no value. */
export class TemplateFault extends Error {
  override readonly name = 'TemplateFault';
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}
