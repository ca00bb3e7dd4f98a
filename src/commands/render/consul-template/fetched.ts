import { textOrBytes } from '../../../config/fields.ts';
import { asObject, asText } from '../../../config/json.ts';
import { JsonNumber, type Fetched, type FieldValue } from '../../../config/source.ts';
import { GoStruct, valueOf, ValueFault, type Value } from './values.ts';

/** What templates call the parts of Vault's answer (api.Secret of Vault's client, which consul-template copies). */
export function asFetchedSecret(fetched: Fetched): GoStruct {
  const fields = fieldsIn(fetched);
  const duration = fields.get('lease_duration');
  return new GoStruct(
    "Vault's answer",
    new Map<string, Value>([
      ['Data', valueOf(fields.get('data') ?? null, true)],
      ['LeaseID', asText(fields.get('lease_id')) ?? ''],
      ['LeaseDuration', wholeOf(duration)],
      ['Renewable', fields.get('renewable') === true],
      ['RequestID', asText(fields.get('request_id')) ?? ''],
      ['Warnings', valueOf(fields.get('warnings') ?? [], true)],
    ]),
  );
}

function wholeOf(value: FieldValue | undefined): bigint {
  const text = typeof value === 'number' ? String(value) : value instanceof JsonNumber ? value.text : '0';
  return /^-?\d+$/.test(text) ? BigInt(text) : 0n;
}

/** A certificate that Vault made, as pkiCert gives it: PEM blocks that end with a line end. */
export function asFetchedCertificate(fetched: Fetched): GoStruct {
  const data = asObject(fieldsIn(fetched).get('data'));
  const pem = (value: FieldValue | undefined): string => {
    const text = (asText(value) ?? '').trim();
    return text === '' ? '' : `${text}\n`;
  };
  const cert = pem(data?.['certificate']);
  if (cert === '')
    throw new ValueFault('Vault answered without a certificate; is that the path of a role, PKI/issue/ROLE?');
  const listed = data?.['ca_chain'];
  const chain = [
    pem(data?.['issuing_ca']),
    ...(Array.isArray(listed) ? listed : []).map((one: FieldValue) => pem(one)),
  ];
  const authorities = [...new Set(chain.filter((one) => one !== ''))];
  const fields = new Map<string, Value>([
    ['Cert', cert],
    ['Key', pem(data?.['private_key'])],
    ['CA', authorities[0] ?? ''],
    ['CAChain', authorities],
  ]);
  return new GoStruct('a certificate', new Map([...fields, ['Data', new GoStruct('a certificate', fields)]]));
}

/** A file or a key. */
export function asFetchedText({ content }: Fetched): Value {
  if (content.kind === 'fields') throw new ValueFault('that is a folder, not a file');
  const { value } = content;
  return valueOf(value instanceof Uint8Array ? textOrBytes(value) : value, true);
}

/** A key that may not be there. */
export function asFetchedKey(fetched: Fetched): Value | undefined {
  return fetched.absent === undefined ? asFetchedText(fetched) : undefined;
}

function fieldsIn({ content }: Fetched): ReadonlyMap<string, FieldValue> {
  return content.kind === 'fields' ? content.fields : new Map();
}
