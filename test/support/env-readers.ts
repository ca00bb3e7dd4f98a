// Programs that read KEY=VALUE files, as their users run them.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

import { parse } from 'dotenv';

import { goEnvReaders } from './go.ts';
import { pythonPackage } from './python-packages.ts';
import { nodePath } from './tools.ts';

/** What a file says, by key. */
export type ReadEnvFile = (path: string, keys: readonly string[]) => ReadonlyMap<string, string>;

/** What every reader finds in its own environment: the variable HOME, for values that expand it. */
const variables = { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', HOME: '/home/expanded' };

function read(command: readonly string[], cwd: string, env: Record<string, string> = {}): string {
  const [file = '', ...args] = command;
  return execFileSync(file, args, {
    cwd,
    env: { ...variables, ...env },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    // Some warn of what they do not find.
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

function fromJson(text: string): ReadonlyMap<string, string> {
  return new Map(Object.entries(JSON.parse(text) as Record<string, string>));
}

/** One of those that are written in Go: docker, compose, godotenv, or the kubelet's parser. */
export async function goReader(
  name: 'docker' | 'compose' | 'godotenv' | 'kubelet',
  cwd: string,
): Promise<ReadEnvFile> {
  const program = await goEnvReaders();
  return (path, keys) => fromJson(read([program, name, path, ...(name === 'kubelet' ? keys : [])], cwd));
}

/** Readers of YAML that are written in Go: of many programs, and of Kubernetes and Helm. What they take for no text is none. */
export async function goYamlReader(
  name: 'yaml.v3' | 'sigs-yaml',
  cwd: string,
): Promise<(path: string) => ReadonlyMap<string, unknown>> {
  const program = await goEnvReaders();
  return (path) => fromJson(read([program, name, path], cwd));
}

/** Node's own, by `--env-file`; what its environment has besides is not what the file says. */
export function nodeReader(cwd: string): ReadEnvFile {
  const script = `const before = ${JSON.stringify(Object.keys(variables))}; process.stdout.write(JSON.stringify(Object.fromEntries(Object.entries(process.env).filter(([key]) => !before.includes(key)))))`;
  return (path) => fromJson(read([nodePath(), `--env-file=${path}`, '-e', script], cwd));
}

/** dotenv of npm. */
export function npmReader(): ReadEnvFile {
  return (path) => new Map(Object.entries(parse(readFileSync(path))));
}

/** python-dotenv as it is by default, with interpolation. */
export async function pythonReader(cwd: string): Promise<ReadEnvFile> {
  const { python, folder } = await pythonPackage('python-dotenv==1.2.2');
  const script = 'import dotenv, json, sys\njson.dump(dict(dotenv.dotenv_values(sys.argv[1])), sys.stdout)';
  return (path) => fromJson(read([python, '-c', script, path], cwd, { PYTHONPATH: folder }));
}

/** Debian's ruby-dotenv. */
export function rubyReader(cwd: string): ReadEnvFile {
  const script =
    'require "json"; require "dotenv"; require "dotenv/parser"; print JSON.generate(Dotenv::Parser.call(File.read(ARGV[0], encoding: "UTF-8")))';
  return (path) => fromJson(read(['ruby', '-e', script, path], cwd));
}

/** The version of Debian's ruby-dotenv. */
export function rubyVersion(): number {
  return Number.parseFloat(read(['ruby', '-e', 'require "dotenv/version"; print Dotenv::VERSION'], '/'));
}

/** A shell that exports what it sources. */
export function bashReader(cwd: string): ReadEnvFile {
  const script = `set -aeu; . "$1"; shift; for name; do printf '%s\\0%s\\0' "$name" "\${!name}"; done`;
  return (path, keys) => {
    const words = read(['bash', '-c', script, 'bash', path, ...keys], cwd).split('\0');
    return new Map(keys.map((key, index) => [key, words[2 * index + 1] ?? '']));
  };
}
