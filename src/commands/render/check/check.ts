import { iniProblem } from './ini.ts';
import { jsonProblem } from './json.ts';

export const checks = ['yaml', 'json', 'toml', 'ini', 'xml'] as const;
export type Check = (typeof checks)[number];

/** Says why a text does not parse, with line and column and no value of it; undefined where it does. */
export type Checker = (text: string) => string | undefined;

/** Loads what checks such texts. */
export async function checkerOf(check: Check): Promise<Checker> {
  return loaders[check]();
}

const loaders: Readonly<Record<Check, () => Promise<Checker>>> = {
  ini: async () => iniProblem,
  json: async () => jsonProblem,
  toml: async () => (await import('../../../clients/toml.ts')).tomlProblem,
  xml: async () => (await import('../../../clients/xml.ts')).xmlProblem,
  yaml: async () => (await import('../../../clients/yaml/check.ts')).yamlProblem,
};
