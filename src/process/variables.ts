import process from 'node:process';

/** What a variable was before the first of those that set it now, and how many they are. */
const setForNow = new Map<string, { readonly before: string | undefined; users: number }>();

/**
 * Sets variables while something runs that reads them from the process alone, and puts back what was there when the
 * last one that set them is done: the command that takes over must not see them.
 */
export async function withVariables<T>(
  variables: Readonly<Record<string, string>>,
  action: () => Promise<T>,
): Promise<T> {
  for (const name of Object.keys(variables)) {
    const known = setForNow.get(name);
    if (known === undefined) setForNow.set(name, { before: process.env[name], users: 1 });
    else known.users += 1;
  }
  Object.assign(process.env, variables);
  try {
    return await action();
  } finally {
    for (const name of Object.keys(variables)) putBack(name);
  }
}

function putBack(name: string): void {
  const known = setForNow.get(name);
  if (known === undefined || --known.users > 0) return;
  setForNow.delete(name);
  if (known.before === undefined) delete process.env[name];
  else process.env[name] = known.before;
}
