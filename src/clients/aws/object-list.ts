import type { FetchAnswer, SourceAddress } from '../../config/source.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { nonexistent, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import {
  brokenList,
  listedPages,
  listRoot,
  mostListed,
  objectAt,
  type ListedObject,
  type MostObjects,
  type ObjectFolder,
  type ObjectPage,
} from '../http/object-folder.ts';
import type { XmlElement } from '../xml.ts';
import { objectReader, ObjectRequests, objectStore, type ObjectParts } from './object-store.ts';

/**
 * All objects below a prefix (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html).
 * @param mostEntries how many there may be, and the option that says so
 */
export function objectFolder(
  address: SourceAddress,
  parts: Omit<ObjectParts, 'sink'>,
  mostEntries: MostObjects,
): ObjectFolder {
  const requests = new ObjectRequests(address, parts);
  const { bucket, key: prefix } = objectAt(address.path);

  const page = async (token: string | undefined, probe: Probe): Promise<ObjectPage | NotYet | Never> => {
    const query = {
      ...(token === undefined ? {} : { 'continuation-token': token }),
      'encoding-type': 'url',
      'list-type': '2',
      prefix,
    };
    const url = await requests.urlOf('', query, probe);
    if (!(url instanceof URL)) return url;
    const answer = await requests.send(
      { method: 'GET', url, headers: {}, maxBody: mostListed, maxBodyOrigin: 'the limit for a list' },
      probe,
    );
    if (answer.state !== 'response') return answer;
    if (answer.status !== 200) return requests.faultOf(answer);
    const root = await listRoot(answer, 'ListBucketResult', probe);
    if (root === undefined) return brokenList('it is not a whole list of objects');
    if (!isNamed(root, bucket)) return brokenList('it is the list of another bucket');
    if (!isBelow(root, prefix)) return brokenList('it is the list of another prefix');
    const objects: ListedObject[] = [];
    for (const entry of root.all('Contents')) {
      const object = objectIn(entry, prefix);
      if (typeof object === 'string') return brokenList(object);
      objects.push(object);
    }
    const count = root.at('KeyCount')?.text;
    if (count !== undefined && Number(count) !== objects.length)
      return brokenList('it has another number of objects than it says');
    const truncated = root.at('IsTruncated')?.text;
    if (truncated === undefined) return brokenList('it does not say whether it is whole');
    const next = root.at('NextContinuationToken')?.text ?? '';
    if (truncated === 'false')
      return next === ''
        ? { state: 'page', objects, next: undefined }
        : brokenList('it says that it is whole, and has a token for the rest');
    if (truncated !== 'true' || next === '') return brokenList('it ends, and has no token for the rest');
    return { state: 'page', objects, next };
  };

  return {
    list: listedPages(page, mostEntries, () =>
      nonexistent(
        exitStatus.refused,
        `has no object below it in ${requests.region}`,
        objectStore.list(address.path, requests.region),
      ),
    ),
    addressOf: ({ name }) => ({
      ...address,
      path: `//${bucket}/${prefix}${name}`,
      text: `s3://${bucket}/${prefix}${name}`,
    }),
    reader(object, sink, maxSize): (probe: Probe) => Promise<FetchAnswer> {
      const settings = { ...parts.settings, maxSize };
      return objectReader(this.addressOf(object), { ...parts, settings, sink, etag: object.etag });
    },
  };
}

/** Aliases of access points, for which lists may have the name of the bucket itself. */
const alias = /-s3alias$|--ol-s3$/;

/** Whether a list, where it names its bucket, is of this one. */
function isNamed(root: XmlElement, bucket: string): boolean {
  return alias.test(bucket) || (root.at('Name')?.text ?? bucket) === bucket;
}

/** Whether a list, where it names its prefix, is of this one; some servers encode it as they do keys, and some do not. */
function isBelow(root: XmlElement, prefix: string): boolean {
  const said = root.at('Prefix')?.text ?? prefix;
  if (said === prefix) return true;
  try {
    return decodeURIComponent(said) === prefix || decodeURIComponent(said.replaceAll('+', '%20')) === prefix;
  } catch {
    return false;
  }
}

/** What a list says of an object, or what is wrong with it. */
function objectIn(entry: XmlElement, prefix: string): ListedObject | string {
  const encoded = entry.at('Key')?.text;
  const etag = entry.at('ETag')?.text ?? '';
  const size = entry.at('Size')?.text ?? '';
  const time = Date.parse(entry.at('LastModified')?.text ?? '');
  if (encoded === undefined) return 'an object has no key';
  let key: string;
  try {
    // As a form encodes it.
    key = decodeURIComponent(encoded.replaceAll('+', '%20'));
  } catch {
    return 'a key is not encoded as it says';
  }
  if (!key.startsWith(prefix)) return 'it has an object of another prefix';
  if (!/^"[\x21\x23-\x7e]{1,200}"$/.test(etag)) return 'an object has no ETag';
  if (!/^\d{1,15}$/.test(size)) return 'an object has no size';
  return {
    name: key.slice(prefix.length),
    etag,
    size: Number(size),
    time: Number.isNaN(time) ? 0 : time,
  };
}
