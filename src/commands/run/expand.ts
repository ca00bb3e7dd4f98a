import type { Environment } from '../../core/context.ts';

/**
 * Puts environment variables in as Kubernetes does in a container's `command`: `$(NAME)`, with `$$(NAME)` for the words
 * themselves; a name that is not set stays as it is. Other dollars, a shell's `$$` among them, are left alone
 * (https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/).
 */
export function expandReferences(text: string, environment: Environment): string {
  return text.replace(/(\$?)\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)/g, (whole, escape: string, name: string) =>
    escape !== '' ? whole.slice(1) : Object.hasOwn(environment, name) ? (environment[name] ?? whole) : whole,
  );
}

/** Whether a text names a variable in this way. */
export function hasReference(text: string): boolean {
  return /\$\([A-Za-z_]/.test(text);
}
