import type { ReadSource, SourceAddress } from '../../config/source.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { never, notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import type { XmlElement } from '../xml.ts';
import type { HttpSourceSettings, SourceSink } from './source.ts';
import type { HttpResponse } from './transport.ts';

/** An object below a prefix. */
export interface ListedObject {
  /** Below the prefix; one that ends with a slash stands for a folder. */
  readonly name: string;
  /** What tells its versions apart: an ETag, or a number. */
  readonly etag: string;
  /** In bytes. */
  readonly size: number;
  /** In milliseconds since 1970. */
  readonly time: number;
}

/** What is below a prefix of a store of objects. */
export interface ObjectFolder {
  /** Tells all of it, in the order of the names. */
  list(
    probe: Probe,
  ): Promise<{ readonly state: 'listed'; readonly objects: readonly ListedObject[] } | NotYet | Never>;
  /** Reads one of them, as it was when it was listed. */
  reader(object: ListedObject, sink: SourceSink | undefined, maxSize: number): ReadSource;
  addressOf(object: ListedObject): SourceAddress;
}

/** How many objects there may be, and the option that says so. */
export interface MostObjects {
  readonly count: number;
  readonly origin: string;
}

/** One answer of a list. */
export interface ObjectPage {
  readonly state: 'page';
  readonly objects: readonly ListedObject[];
  /** What the next page is asked for with; undefined where there is none. */
  readonly next: string | undefined;
}

/** Bytes of one page: a thousand names, each character of which may be encoded, with what is said of each. */
export const mostListed = 8 << 20;

/** Pages in a row that have nothing, and a token for the next. */
const mostEmpty = 100;

/**
 * Lists all objects, page by page.
 * @param page asks for one, by the token of the page before
 * @param none where there are none
 */
export function listedPages(
  page: (token: string | undefined, probe: Probe) => Promise<ObjectPage | NotYet | Never>,
  most: MostObjects,
  none: () => Never,
): ObjectFolder['list'] {
  // What was listed stays so while the rest is waited for.
  const objects: ListedObject[] = [];
  const names = new Set<string>();
  // A server that goes round in a circle, or takes no token, would be listed for as long as it likes.
  const tokens = new Set<string>();
  let token: string | undefined;
  let empty = 0;
  return async (probe) => {
    for (;;) {
      const answer = await page(token, probe);
      if (answer.state !== 'page') return answer;
      // What has no name is the folder itself.
      const found = answer.objects.filter(({ name }) => name !== '');
      if (objects.length + found.length > most.count)
        return never(exitStatus.refused, `has more than ${most.count} objects below it (${most.origin})`);
      // A page that is broken is asked for again, so nothing of it is kept. Two of one name in a page are refused later.
      if (found.some(({ name }) => names.has(name)))
        return brokenList('it has an object of an earlier page again');
      if (answer.next !== undefined && answer.next === token)
        return brokenList('its token for the rest leads to itself');
      if (answer.next !== undefined && tokens.has(answer.next))
        return brokenList('its token for the rest leads back');
      objects.push(...found);
      for (const { name } of found) names.add(name);
      if (answer.next === undefined) return objects.length > 0 ? { state: 'listed', objects } : none();
      tokens.add(answer.next);
      token = answer.next;
      empty = found.length === 0 ? empty + 1 : 0;
      if (empty > mostEmpty) return never(exitStatus.refused, 'is listed without an end');
    }
  };
}

/** What a list says of itself, at most once. */
const saidOnce = [
  'IsTruncated',
  'NextContinuationToken',
  'KeyCount',
  'Name',
  'Prefix',
  'Blobs',
  'NextMarker',
];

/** The root of a list in XML, whose name is that; undefined where it is another document, or does not go to its end. */
export async function listRoot(
  { body }: HttpResponse,
  name: string,
  { signal }: Probe,
): Promise<XmlElement | undefined> {
  const { xmlRoot } = await import('../xml.ts');
  const root = await xmlRoot(body.toString(), signal);
  if (root?.name !== name) return undefined;
  // Of two of them, programs take one or the other: the list could seem whole.
  const twice = saidOnce.some((one) => root.all(one).length > 1);
  return twice ? undefined : root;
}

export function brokenList(why: string): NotYet {
  return notYet(`answered 200 with a broken body: ${why}`);
}

/** The settings of a body that nobody else answers with: it may be a page, and may be compressed. */
export function storedObject(settings: HttpSourceSettings): HttpSourceSettings {
  return { ...settings, htmlExpected: true, headers: {}, netrc: undefined, identified: false };
}

/** What a name in a URL is, with all but unreserved characters encoded, and slashes where they are to stay. */
export function encodedName(name: string): string {
  return name.split('/').map(encodedPart).join('/');
}

/** The same with slashes encoded. */
export function encodedPart(part: string): string {
  return encodeURIComponent(part).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** The bucket, or the account, and the rest of a path `//FIRST/REST`, whose form is checked already. */
export function objectAt(path: string): { readonly bucket: string; readonly key: string } {
  const [, bucket = '', key = ''] = /^\/\/([^/]+)\/?(.*)$/s.exec(path) ?? [];
  return { bucket, key };
}

/** The text of an element of XML without attributes; entities stay as they are. */
export function elementIn(text: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1];
}
