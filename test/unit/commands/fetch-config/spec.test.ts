import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';

import schema from '../../../../src/commands/fetch-config/spec.schema.json' with { type: 'json' };
import { parseSpec } from '../../../../src/commands/fetch-config/spec.ts';

const none = (): void => {};
const read = (text: string) => parseSpec(text, 'fetch.yaml', none);

const whole = `
to: /config
mode: "0400"
files:
  - path: app.env
    format: dotenv
    merge: last
    owner: "1000:2000"
    from:
      - vault:secret/db
      - source: aws-sm:prod/api
        optional: true
        keys:
          DB_USER: user
          DB_PORT: { key: port, default: 1.10 }
          CERT: { decode: base64, optional: false }
        others: true
  - path: /other/ca.crt
    mode: "0444"
    from: https://config.internal/ca.crt
`;

it('its schema is one, by the strict rules', () => {
  const ajv = new Ajv({ strict: true, allowUnionTypes: true });
  expect(ajv.validateSchema(schema)).toBe(true);
  expect(() => ajv.compile(schema)).not.toThrow();
});

it('takes no tree of files', async () => {
  const text = 'to: /config\nfiles: [{ path: a, from: "git+https://h/r#main:a" }]\n';
  await expect(read(text)).rejects.toThrow(/files\[0\]\.from: git\+https:\/\/h\/r#main:a is a tree of files/);
});

describe('a specification', () => {
  it('is read with everything in it', async () => {
    const { to, files } = await read(whole);
    expect(to).toBe('/config');
    expect(files).toHaveLength(2);
    expect(files[0]).toMatchObject({
      path: 'app.env',
      format: 'dotenv',
      mode: 0o400,
      owner: { uid: 1000, gid: 2000 },
      merge: 'last',
      origin: 'fetch.yaml:5:5',
      parts: [
        { address: { scheme: 'vault', path: 'secret/db' }, keys: undefined },
        {
          address: { scheme: 'aws-sm', path: 'prod/api' },
          others: true,
          keys: [
            { name: 'DB_USER', key: 'user', optional: true },
            { name: 'DB_PORT', key: 'port', fallback: { text: '1.10' } },
            { name: 'CERT', key: 'CERT', optional: false, decode: 'base64' },
          ],
        },
      ],
    });
    expect(files[1]).toMatchObject({ path: '/other/ca.crt', format: 'raw', mode: 0o444, merge: 'error' });
  });

  it('as documented is one', async () => {
    const page = readFileSync(join(import.meta.dirname, '../../../../docs/fetch-config.md'), 'utf8');
    const text = /```yaml\n(# \/etc\/initbox\/fetch\.yaml[\s\S]*?)```/.exec(page)?.[1] ?? '';
    const { files } = await read(text);
    expect(files.map(({ path, format }) => `${format} ${path}`)).toEqual([
      'dotenv app.env',
      'raw tls/tls.key',
      'files tls',
      'yaml /public/app.yaml',
    ]);
  });

  it('may name the keys as a list', async () => {
    const { files } = await read(
      'files: [{path: /a, format: json, from: [{source: "env:A*", keys: [x, y]}]}]',
    );
    expect(files[0]?.parts[0]?.keys?.map(({ name, key }) => [name, key])).toEqual([
      ['x', 'x'],
      ['y', 'y'],
    ]);
  });

  it.each<[string, string, RegExp]>([
    ['nothing in it', '', /^fetch\.yaml:1:1: expected a mapping, got nothing$/],
    ['no files', 'to: /x\n', /^fetch\.yaml:1:1: "files" is missing$/],
    ['an empty list', 'files: []\n', /^fetch\.yaml:1:1: files: must not be empty: the files to write$/],
    ['YAML that is none', 'files:\n  - path: [a\n', /^fetch\.yaml:3:1: /],
    ['a tab', 'files:\n\t- path: x\n', /^fetch\.yaml:2:1: /],
    ['a key twice', 'files: []\nfiles: []\n', /^fetch\.yaml:2:1: this key is there twice$/],
    ['a second document', 'files: []\n---\nfiles: []\n', /^fetch\.yaml:\d:\d: a second document/],
    ['an unknown tag', 'files: !!js/function x\n', /^fetch\.yaml:1:8: the tag \(!name\) is unknown/],
    [
      'a mistyped key',
      'files:\n  - path: /a\n    form: json\n    from: env:A\n',
      /^fetch\.yaml:3:5: files\[0\]\.form: unknown key "form"; did you mean format\?$/,
    ],
    [
      'an unknown key',
      'files:\n  - path: /a\n    zebra: 1\n    from: env:A\n',
      /unknown key "zebra"; known are path, format, mode, owner, merge, from$/,
    ],
    [
      'a mode that is a number',
      'files:\n  - path: /a\n    mode: 440\n    from: env:A\n',
      /^fetch\.yaml:3:5: files\[0\]\.mode: expected a string, got a number: a file mode in octal and in quotes/,
    ],
    [
      'a mode that is none',
      'files:\n  - path: /a\n    mode: "0999"\n    from: env:A\n',
      /^fetch\.yaml:3:5: files\[0\]\.mode: "0999" is not what is accepted here: a file mode in octal/,
    ],
    [
      'a format that is none',
      'files:\n  - path: /a\n    format: toml\n    from: env:A\n',
      /^fetch\.yaml:3:5: files\[0\]\.format: must be one of raw, json, yaml, dotenv, env-file, properties, shell, files$/,
    ],
    ['no source', 'files:\n  - path: /a\n', /^fetch\.yaml:2:5: files\[0\]: "from" is missing$/],
    [
      'a source that is none',
      'files:\n  - path: /a\n    from:\n      - env:A\n      - valt:secret/x\n',
      /^fetch\.yaml:5:9: files\[0\]\.from\[1\]: unknown scheme "valt"/,
    ],
    [
      'a relative path without a folder',
      'files:\n  - path: a\n    from: env:A\n',
      /^fetch\.yaml:2:5: files\[0\]\.path: "a" is relative, and there is no "to" at the top$/,
    ],
    [
      'keys of one field',
      'files:\n  - path: /a\n    from: [{source: "vault:a/b#c", keys: [x]}]\n',
      /files\[0\]\.from\[0\]\.keys: vault:a\/b#c picks one field already/,
    ],
    [
      'an optional field of a source',
      'files:\n  - path: /a\n    from: [{source: "vault:a/b#c", optional: true}]\n',
      /files\[0\]\.from\[0\]\.optional: "optional" goes with "keys": write keys: \["c"\] in place of #c$/,
    ],
    [
      'a key taken twice',
      'files:\n  - path: /a\n    from: [{source: "vault:a/b", keys: [x, x]}]\n',
      /the key "x" is taken twice$/,
    ],
    [
      'a default that is never used',
      'files:\n  - path: /a\n    from: [{source: "vault:a/b", keys: {X: {optional: true, default: 1}}}]\n',
      /"default" and "optional" cannot be combined/,
    ],
    [
      'an owner by name',
      'owner: "app:app"\nfiles:\n  - path: /a\n    from: env:A\n',
      /^fetch\.yaml:1:1: owner: "app:app" is not what is accepted here: UID:GID in numbers/,
    ],
  ])('with %s is refused with its place', async (_, text, message) => {
    await expect(read(text)).rejects.toThrow(message);
    await expect(read(text)).rejects.toMatchObject({ name: 'UsageError' });
  });

  it('tells several problems at once', async () => {
    await expect(read('files:\n  - path: ""\n    mode: 1\n')).rejects.toThrow(
      /^fetch\.yaml:2:5: .*"from" is missing\n.*\n.*files\[0\]\.mode/,
    );
  });

  // Carried out, either would take hours and all memory.
  it('that is an alias bomb, or nested without end, is refused', async () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefghi'
        .split('')
        .map((name, index) => `${name}: &${name} [${`*${'abcdefgh'[index]},`.repeat(9).slice(0, -1)}]`),
    ];
    await expect(read(`${bomb.join('\n')}\n`)).rejects.toThrow('multiply beyond all bounds');
    await expect(read('['.repeat(100_000))).rejects.toThrow(/fetch\.yaml:\d+:\d+: /);
  });

  it('registers a password in a URL, and never prints it', async () => {
    const secrets: [string, string][] = [];
    const text = 'files:\n  - path: /a\n    from: https://user:hunter22@host/x\n';
    const { files } = await parseSpec(text, 'fetch.yaml', (value, origin) => secrets.push([value, origin]));
    expect(secrets).toContainEqual(['hunter22', 'fetch.yaml:3:5']);
    expect(files[0]?.parts[0]?.address.text).not.toContain('hunter22');
  });
});
