import { createRedactor } from '../../core/redaction/redactor.ts';

/**
 * Takes out of a server's words what this login has sent, in which it may come back: whoever reads a log could try
 * passwords on it. Only of this login, since each has others, and what the whole run knows would grow without end.
 */
export function withoutSent(sent: readonly (string | Uint8Array)[], text: string): string {
  if (sent.length === 0) return text;
  const redactor = createRedactor();
  for (const one of sent) {
    if (typeof one === 'string') redactor.secret(one);
    else redactor.bytes(one);
  }
  return redactor.redact(text);
}
