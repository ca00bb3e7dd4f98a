// What a check says of a file that is broken, where a secret stands at that very place: line, column and words of initbox's own.
import { describe, expect, test } from 'vitest';

import { checkerOf, type Check } from '../../../../src/commands/render/check/check.ts';
import { canaries, showsCanary } from '../../../integration/core/canaries.ts';

/** Places for a value, most of which break the file whatever the value is. */
const places: Readonly<Record<Check, readonly ((value: string) => string)[]>> = {
  yaml: [
    (v) => `a: ${v}\n`,
    (v) => `${v}: 1\n${v}: 2\n`,
    (v) => `a: "${v}\n`,
    (v) => `a: '${v}\n`,
    (v) => `a: "\\${v}"\n`,
    (v) => `a: *${v}\n`,
    (v) => `a: &${v}\n  &${v} b\n`,
    (v) => `a: !${v} b\n`,
    (v) => `a: !!${v} b\n`,
    (v) => `%${v}\n---\na: b\n`,
    (v) => `%TAG !${v}! x\n%TAG !${v}! x\n---\na: b\n`,
    (v) => `%YAML ${v}\n---\na: b\n`,
    (v) => `a: |${v}\n  b\n`,
    (v) => `a: [${v}, \n`,
    (v) => `a: {${v}: b: c}\n`,
    (v) => `a: b\n ${v}: c\n`,
    (v) => `a: b\n\t${v}: c\n`,
    (v) => `- a\n${v}: b\n`,
    (v) => `a: b: ${v}\n`,
    (v) => `? ${v}\n: [\n`,
    (v) => `<<: ${v}\n`,
    (v) => `a: b\n---${v}\n...x ${v}\n`,
    (v) => `${v}\n${v}: - x\n`,
    (v) => `a: @${v}\n`,
    (v) => `a: !!binary ${v}\nb: !!float ${v}\n`,
    (v) => `a: !!timestamp ${v}\nb: !!omap [${v}]\n`,
  ],
  json: [
    (v) => v,
    (v) => `{"a": ${v}}`,
    (v) => `{${v}: 1}`,
    (v) => `{"${v}": 1, "${v}": 2}`,
    (v) => `{"a": "${v}`,
    (v) => `{"a": "\\${v}"}`,
    (v) => `{"a": "\\u${v}"}`,
    (v) => `{"a": 1} ${v}`,
    (v) => `[1, ${v}]`,
    (v) => `{"a": 0${v}}`,
    (v) => `{"a": 1e${v}}`,
    (v) => `{"a": tru${v}}`,
    (v) => `{"a" ${v}}`,
    (v) => `{"a": 1 ${v}: 2}`,
    (v) => `{'${v}': 1}`,
  ],
  toml: [
    (v) => `a = ${v}\n`,
    (v) => `${v} = 1\n`,
    (v) => `"${v}" = 1\n"${v}" = 2\n`,
    (v) => `a = "${v}\n`,
    (v) => `a = '${v}\n`,
    (v) => `a = "\\${v}"\n`,
    (v) => `a = """${v}\n`,
    (v) => `[${v}]\n[${v}]\n`,
    (v) => `["${v}"]\n["${v}"]\n`,
    (v) => `[[${v}\n`,
    (v) => `a = [${v}\n`,
    (v) => `a = {${v} = 1\n`,
    (v) => `a.b = 1\na = ${v}\n`,
    (v) => `a = 2020-01-${v}\n`,
    (v) => `a = 0x${v}\n`,
    (v) => `a = 1_${v}\n`,
    (v) => `"${v}".b = 1\n"${v}" = 2\n`,
    (v) => `a = 1 ${v}\n`,
  ],
  ini: [
    (v) => `${v}\n`,
    (v) => `[${v}\n`,
    (v) => `a = ${v}\n`,
    (v) => `[a]${v}\n`,
    (v) => `= ${v}\n`,
    (v) => `a ${v}\n`,
    (v) => `[a]\n${v}\n[a]\n`,
  ],
  xml: [
    (v) => v,
    (v) => `<a>${v}</a>`,
    (v) => `<${v}>x</a>`,
    (v) => `<a>x</${v}>`,
    (v) => `<a ${v}>x</a>`,
    (v) => `<a b="${v}>x</a>`,
    (v) => `<a b=${v}>x</a>`,
    (v) => `<a "${v}"="x" "${v}"="x"/>`,
    (v) => `<a>&${v};</a>`,
    (v) => `<a>&#${v};</a>`,
    (v) => `<a><!-- ${v} -- x --></a>`,
    (v) => `<a><![CDATA[${v}</a>`,
    (v) => `<?${v} x`,
    (v) => `<?xml version="${v}"?><a/>`,
    (v) => `<?xml version="1.0" encoding="${v}"?><a/>`,
    (v) => `<!DOCTYPE ${v} [<!ENTITY x "${v}">]><a>&x;</a>`,
    (v) => `<!DOCTYPE a SYSTEM "${v}"><a/>`,
    (v) => `<${v}:a/>`,
    (v) => `<a xmlns:${v}="x" xmlns:${v}="y"/>`,
    (v) => `<a/>${v}`,
    (v) => `${v}<a/>`,
  ],
};

/** Each shape once; the long ones only cost time here. */
const values = Object.values(canaries)
  .slice(0, 49)
  .filter((value) => value.length < 5000)
  // What has no sign in it stands at more places.
  .concat('CNRY9', 'CNRY-x.y', 'CNRY 1 2', '1CNRY', '{CNRY}', 'CNRY=CNRY');

describe.each(Object.entries(places) as [Check, (typeof places)[Check]][])('%s', (format, of) => {
  test('no word of a message comes from the file', async () => {
    const check = await checkerOf(format);
    let broken = 0;
    for (const value of values)
      for (const [index, place] of of.entries()) {
        const said = check(place(value));
        if (said === undefined) continue;
        broken++;
        expect([format, index, value.slice(0, 60), said]).toEqual([
          format,
          index,
          value.slice(0, 60),
          expect.not.stringMatching(showsCanary),
        ]);
      }
    expect(broken).toBeGreaterThan(50);
  });
});
