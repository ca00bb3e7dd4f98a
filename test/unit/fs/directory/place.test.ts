import { expect, test } from 'vitest';

import { isInside, type Place } from '../../../../src/fs/directory/place.ts';

const place = (path: string, device?: string, onDevice?: string): Place => ({
  path,
  inside: device === undefined || onDevice === undefined ? undefined : { device, path: onDevice },
});

test.each([
  ['by its path', place('/data/a'), place('/data'), true],
  ['the same', place('/data', '8:1', '/v'), place('/data', '8:1', '/v'), true],
  ['by two mounts of one device', place('/sub', '8:1', '/v/sub'), place('/data', '8:1', '/v'), true],
  ['the other way round', place('/data', '8:1', '/v'), place('/sub', '8:1', '/v/sub'), false],
  ['a name that begins alike', place('/sub', '8:1', '/v2'), place('/data', '8:1', '/v'), false],
  ['another device', place('/sub', '8:2', '/v/sub'), place('/data', '8:1', '/v'), false],
  ['the root of the device', place('/sub', '8:1', '/v'), place('/data', '8:1', '/'), true],
  ['without /proc', place('/sub'), place('/data'), false],
])('%s', (_what, one, other, inside) => expect(isInside(one, other)).toBe(inside));
