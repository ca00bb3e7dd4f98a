import { requestOptions } from '../../clients/http/options.ts';
import {
  choiceParser,
  flag,
  integer,
  list,
  parseText,
  text,
  value,
  valueOr,
} from '../../core/options/option.ts';
import { waitOptions } from '../../core/options/shared-options.ts';
import { parsePattern } from '../../core/pattern.ts';
import { parseSize } from '../../core/size.ts';
import { attemptOptions } from '../../wait/attempt-timeout.ts';
import { parseHeaderExpectation } from './header.ts';
import { parseJsonExpectation } from './pointer.ts';
import { parseStatuses } from './status.ts';

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

/** What is sent, and what the answer must be. */
export const httpTargetOptions = {
  status: list({
    description: 'statuses to wait for: codes, ranges and classes, as 200,204 or 2xx; unset, 200-299',
    placeholder: 'STATUS',
    parse: parseStatuses,
  }),
  'expect-header': list({
    description: 'a header that the answer must have, with this value or with any',
    placeholder: 'NAME[: VALUE]',
    parse: parseHeaderExpectation,
  }),
  body: list({ description: 'a text that the body must hold', placeholder: 'TEXT', parse: parseText }),
  'body-matches': list({
    description: 'a regular expression that must match somewhere in the body',
    placeholder: 'REGEX',
    parse: parsePattern,
  }),
  json: list({
    description:
      'a value that the body’s JSON must have at a JSON pointer, as /status=UP; without =, any value',
    placeholder: 'POINTER[=VALUE]',
    parse: parseJsonExpectation,
  }),
  'max-size': valueOr({
    description:
      'the most that is read of a body, whose JSON may have a value for every 8 bytes of it; without an expectation for the body, none of it is read',
    placeholder: 'SIZE',
    parse: parseSize,
    fallback: '256Ki',
  }),
  method: value({
    description: 'the request’s method; unset, GET, or POST with a body',
    placeholder: methods.join('|'),
    choices: methods,
    parse: (given: string) => choiceParser(methods)(given.toUpperCase()),
  }),
  'request-body-file': text({ description: 'a file to send as the request’s body', placeholder: 'PATH' }),
  ...requestOptions,
  insecure: flag({ description: 'accept any certificate: whoever answers is taken for the server' }),
  redirects: valueOr({
    description: 'how many redirects to follow; one whose status is waited for is not followed',
    placeholder: 'COUNT',
    parse: integer({ min: 0, max: 20 }),
    fallback: '0',
  }),
  'cross-origin': flag({ description: 'follow redirects to other hosts too, without the headers' }),
};

export const waitHttpOptions = { ...httpTargetOptions, ...attemptOptions, ...waitOptions };
