import { type Entries, FormatError, longestVariable, plainText, quotedKey } from './entries.ts';

/** A file's text and what its readers should know. */
export interface EnvFileText {
  readonly bytes: Uint8Array;
  /** Sentences without values. */
  readonly warnings: readonly string[];
}

/** The most bytes of a line that the kubelet reads: bufio.MaxScanTokenSize of Go, with the line end. */
const longestLine = 65_535;

/**
 * `KEY='value'` lines as the kubelet reads them for `env[].valueFrom.fileKeyRef`: single quotes always, everything
 * between them literal, and no escape
 * (https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/util/env/env_util.go).
 * @throws FormatError naming a key that no such file can hold, or whose value it would change
 */
export function formatEnvFile(entries: Entries): EnvFileText {
  const empty: string[] = [];
  const lines = [...entries].map(([key, value]) => {
    checkEnvFileKey(key);
    const text = plainText(key, value, 'env-file');
    if (text === '') empty.push(quotedKey(key));
    return `${envFileEntry(key, text)}\n`;
  });
  const warnings =
    empty.length === 0
      ? []
      : [
          `${empty.join(', ')}: the value is empty, which the kubelet takes for a missing key: a container whose fileKeyRef names it does not start, and with optional: true it starts without the variable`,
        ];
  return { bytes: Buffer.from(lines.join('')), warnings };
}

function envFileEntry(key: string, text: string): string {
  const refuse = (why: string, instead: string): never => {
    throw new FormatError(`${quotedKey(key)} ${why}; ${instead}`);
  };
  if (text.includes("'")) {
    refuse(
      'holds a single quote, and the kubelet has no way to read one from an env file',
      'change the value, or write it with --format files and let the application read the file',
    );
  }
  if (text.includes('\r\n')) {
    refuse(
      'holds a carriage return before a line end, which the kubelet drops',
      '--format files or raw writes any bytes',
    );
  }
  const size = Buffer.byteLength(`${key}=${text}`) + 1;
  if (size > longestVariable) {
    refuse(
      `has ${size} bytes with its name, and Linux takes ${longestVariable} in one variable`,
      'write it with --format files or raw',
    );
  }
  const entry = `${key}='${text}'`;
  const line = entry.split('\n').reduce((most, one) => Math.max(most, Buffer.byteLength(one)), 0);
  if (line > longestLine) {
    refuse(
      `has a line of ${line} bytes, and the kubelet reads lines of ${longestLine} bytes at most`,
      'write it with --format files or raw',
    );
  }
  return entry;
}

/**
 * What the API server takes for the key of a fileKeyRef (IsRelaxedEnvVarName: printable ASCII other than `=`), less what
 * the kubelet reads otherwise: white space at either end, and `#` first, which begins a comment.
 */
function checkEnvFileKey(key: string): void {
  if (/^[!-~]([ -~]*[!-~])?$/.test(key) && !key.includes('=') && !key.startsWith('#')) return;
  throw new FormatError(
    `${quotedKey(key)} cannot be a key of an env file: printable ASCII characters other than =, no # first, no space first or last; a spec can rename it`,
  );
}
