/** A secret as somebody writes it where a path, a word or an address is meant. */
export interface MisplacedShape {
  readonly name: string;
  readonly text: string;
  /** What no output may show. */
  readonly canaries: readonly string[];
}

const one = 'Kq7ZxWm9Tr';
const two = 'hV4pdB8sQz';
const ageBody = 'CANARYCANARYCANARYCANARYCANARYCANARYCANARY';
const body = 'MIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj';

const shape = (name: string, text: string, ...canaries: string[]): MisplacedShape => ({
  name,
  text,
  canaries: canaries.length > 0 ? canaries : [one],
});

/** Documents and keys, each in place of the path of its file. */
const documents: readonly MisplacedShape[] = [
  shape(
    'certificate and key',
    `-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`,
    body,
  ),
  shape('key', `-----BEGIN RSA PRIVATE KEY-----\n${body}\n-----END RSA PRIVATE KEY-----`, body),
  shape('key on one line', `-----BEGIN PRIVATE KEY----- ${body} -----END PRIVATE KEY-----`, body),
  shape('password file', `h:5432:db:u:${one}`),
  shape('password file, any', `*:*:*:u:${one}`),
  shape('netrc', `machine h.test login a password ${one}`),
  shape('netrc in lines', `machine h.test\n  login a\n  password ${one}\n`),
  shape('kubeconfig', `apiVersion: v1\nusers: [{user: {token: ${one}}}]`),
  shape('kubeconfig, JSON', `{"users":[{"user":{"token":"${one}"}}]}`),
  shape('dotenv', `PGHOST=db\nPGPASSWORD=${one}\n`),
  shape('credentials file', `[default]\naws_secret_access_key = ${one}/x\n`),
  shape('token', `hvs.${one}${two}`, one, two),
  shape('token of GitHub', `ghp_${one}${two}`, one, two),
  shape('header', `Authorization: Bearer ${one}.${two}`, one, two),
  shape('assignment', `password=${one}`),
];

/** Keys and tokens whose shape only their makers know, and names of secrets in other spellings. */
const others: readonly MisplacedShape[] = [
  shape('key of age', `AGE-SECRET-KEY-1QQPQZ3${ageBody}77`, ageBody),
  shape(
    'key of age in its file',
    `# created: 2024\n# public key: age1xyz\nAGE-SECRET-KEY-1Q${ageBody}\n`,
    ageBody,
  ),
  shape('key of age, small', `age-secret-key-1qqpqz3${ageBody.toLowerCase()}77`, ageBody.toLowerCase()),
  shape(
    'key of Azure',
    `DefaultEndpointsProtocol=https;AccountName=a;AccountKey=${one}${two}==;`,
    `${one}${two}`,
  ),
  shape('shared access', `https://a.blob.core.windows.net/c/b?sv=2022&sig=${one}${two}%3D`, `${one}${two}`),
  shape(
    'service account',
    `{"type":"service_account","private_key":"-----BEGIN PRIVATE KEY-----\\n${body}\\n"}`,
    body,
  ),
  shape('docker', `{"auths":{"r.test":{"auth":"${one}${two}=="}}}`, `${one}${two}`),
  shape('token of Google', `ya29.a0${one}${two}`, one, two),
  shape('API key of Google', `AIzaSy${one}${two}abcdefghijklm`, one, two),
  shape('token of SendGrid', `SG.${one}${two}.${two}${one}`, one, two),
  shape('token of Stripe', `sk_live_${one}${two}`, one, two),
  shape('token of npm', `npm_${one}${two}`, one, two),
  shape('token of Tailscale', `tskey-auth-${one}-${two}`, one, two),
  shape('token of k3s', `K10${'0123456789abcdef'.repeat(4)}::server:${one}`),
  shape('hash of a password', `root:$6$saltsalt$${one}${two}/x:19000:0:99999`, `${one}${two}`),
  shape('hash of htpasswd', `admin:$2y$10$${one}${two}`, `${one}${two}`),
  shape('WireGuard', `PrivateKey = ${one}${two}=`, `${one}${two}`),
  shape('export', `export DB_PASS="${one} x"`),
  shape('a pass alone', `DB_PASS=${one}`),
  shape('element', `<password>${one}</password>`),
  shape('an unseen character in its name', `pass\u200bword=${one}`),
  shape('Passwort', `Passwort: ${one}`),
  shape('пароль', `пароль=${one}`),
  shape('line of a key', `MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg${one}`),
  shape('hook', `https://hooks.slack.com/services/T00/B00/${one}${two}`, `${one}${two}`),
];

/** Addresses with a user and password, in a damaged spelling. */
const addresses: readonly MisplacedShape[] = [
  ...[
    'https://',
    'https:/',
    'https:',
    'https//',
    'https;//',
    'https:\\\\',
    '//',
    '',
    'https://https://',
    'postgres://postgres://',
    'https%3A//',
    'https%3A%2F%2F',
    '"https://',
    'jdbc:postgresql://',
    'URL=https://',
    'https:// ',
  ].flatMap((scheme) => [
    shape(`${scheme}…:…%40`, `${scheme}app:${one}%40db.test/app`),
    shape(`${scheme}…:…$…@`, `${scheme}app:${one}$${two}@db.test/app`, one, two),
  ]),
  shape('%2540', `https://app:${one}%2540db.test/app`),
  shape('braces', `postgresql//app:${one}\${${two}}@db.test/app`, one, two),
  shape('%3A', `https://app%3A${one}%40db.test/app`),
  shape(';', `https://app;${one}@db.test/app`),
  shape('::', `https://app::${one}%40db.test/app`),
  shape('@ lost', `https://app:${one}|db.test/app`),
  shape('@ lost, a blank', `https://app:${one} db.test/app`),
  shape('@ of full width', `https://app:${one}＠db.test/app`),
  shape('a path before it', `/work/https:/app%3A${one}%40db.test/x`),
  shape('file', `file:/a/app:${one}@db.test`),
  shape('kubernetes', `kubernetes:secret/app:${one}@db.test`),
  shape('double file', `file://file://app;${one}@db.test`),
  shape('raw / ? #', `https://app:${one}/${two}?a#b@db.test/app`, one, two),
  shape('digits first', `https://app:12345/${one}@db.test`),
  shape('token /', `https://${one}/${two}@db.test/x`, one, two),
  shape('token ?', `https://${one}?${two}@db.test/x`, one, two),
  shape('token #', `https://${one}#${two}@db.test/x`, one, two),
  shape("token '", `https://${one}'db.test`),
  shape('; and #', `https://app;${one}#@db.test`),
  shape('password-file', `redis://db.test?password-file=${one}`),
];

export const misplacedShapes: readonly MisplacedShape[] = [...documents, ...others, ...addresses];

/** Which canaries a text shows, whatever the case that a parser gave it. */
export function shownCanaries(text: string, canaries: readonly string[]): readonly string[] {
  const lower = text.toLowerCase();
  return canaries.filter((canary) => lower.includes(canary.toLowerCase()));
}
