/** One import of Node's own in esbuild's minified output: default, namespace and named bindings, and the module. */
const importOfBuiltin =
  /\bimport(?: ([\w$]+))?,?(?:\* ?as ([\w$]+))?(?:\{([^}]*)\})? ?from ?"(node:[\w/]+)";/g;

/** The text by which esbuild's shim for `require` is known. */
const shim = 'Dynamic require of "';

/**
 * Lets a bundled file have Node's own modules without the namespace that `import` makes of them. For that,
 * Node reads every property of the module, and many are built on their first reading: `node:fs` costs 4 ms
 * so (all streams), and `node:process` opens standard output, which leaves a pipe non-blocking for whoever
 * comes after. Also gives CommonJS packages the `require` of Node's own modules that they expect.
 */
export function withoutNamespaces(code: string): string {
  const declarations: string[] = [];
  const rest = code.replace(importOfBuiltin, (_, whole, namespace, named, module) => {
    const value = `builtin(${JSON.stringify(module)})`;
    for (const name of [whole, namespace]) if (name) declarations.push(`const ${name}=${value};`);
    if (named) declarations.push(`const{${named.replace(/ as /g, ':')}}=${value};`);
    return '';
  });
  const require = code.includes(shim) ? 'const require=builtin;' : '';
  if (declarations.length === 0 && require === '') return code;
  return `${builtin}${require}${declarations.join('')}${rest}`;
}

/** One property read, where `createRequire` would be another module to load. */
const builtin = `function builtin(name){const found=globalThis.process.getBuiltinModule(name);if(found)return found;throw Object.assign(new Error("Cannot find module '"+name+"'"),{code:"MODULE_NOT_FOUND"})}`;
