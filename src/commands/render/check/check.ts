import { iniProblem } from './ini.ts';

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
  async yaml() {
    const { checkYaml, YamlProblem } = await import('../../../clients/yaml.ts');
    return (text) => {
      try {
        checkYaml(text);
        return undefined;
      } catch (error) {
        if (error instanceof YamlProblem) return error.message;
        throw error;
      }
    };
  },
};

function jsonProblem(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    // V8 quotes the text beside its place.
    const [, line, column] = /\(line (\d+) column (\d+)\)/.exec((error as Error).message) ?? [];
    return line === undefined
      ? 'it ends in the middle of the JSON'
      : `${line}:${column}: it is not JSON from here on`;
  }
}
