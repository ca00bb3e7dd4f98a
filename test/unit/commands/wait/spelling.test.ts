import { describe, expect, test } from 'vitest';

import { kinds } from '../../../../src/commands/wait/kinds/index.ts';
import { spellingOf } from '../../../../src/commands/wait/spelling.ts';

const spelled = async (kind: string, text: string) =>
  spellingOf(await (kinds[kind] as (typeof kinds)[string]).load()).text(text);

describe('options of one target are named as they are written', () => {
  test.each([
    ['nats', 'give it: --ca-file, VAULT_CACERT for Vault', 'give it: ca-file, VAULT_CACERT for Vault'],
    ['redis', '--cert-file needs --key-file beside it', 'cert-file needs key-file beside it'],
    ['nats', 'the file of --token-file', 'the file of token-file'],
    ['http', 'with --redirects 1, or --status 302', 'with redirects=1, or status=302'],
    ['http', '--header-env: the variable X is not set', 'header-env: the variable X is not set'],
    ['kubernetes', '--for condition=Ready, or --for exists', 'for=condition=Ready, or for=exists'],
    ['kubernetes', 'neither a name nor a --selector says', 'neither a name nor a selector says'],
    // Flags of the command, other programs' flags, and whole command lines.
    [
      'nats',
      'one is enough with --any, --invert, --timeout 5m',
      'one is enough with --any, --invert, --timeout 5m',
    ],
    ['tcp', '--ca-file, a--send, --sender', '--ca-file, a--send, --sender'],
    [
      'kubernetes',
      'initbox wait-kubernetes pods --selector a=b --print-role prints it',
      'initbox wait-kubernetes pods --selector a=b --print-role prints it',
    ],
  ])('%s: %s', async (kind, text, expected) => {
    expect(await spelled(kind, text)).toBe(expected);
  });
});
