import { objectOptions } from '../../../wait-kubernetes/options.ts';
import { checkObjects, rightsOfObjects, objectTarget, openClient } from '../../../wait-kubernetes/run.ts';
import { parseObjectTarget } from '../../../wait-kubernetes/target.ts';
import { defineKind } from '../../kind.ts';

export const kubernetes = defineKind({
  options: objectOptions,
  limit: 5000,
  read({ address, options, invert }) {
    const target = parseObjectTarget(address.replace(/^kubernetes:(?:\/\/)?/i, ''));
    checkObjects(options, [target], invert);
    return {
      name: `${target.kind} ${target.namespace === undefined ? '' : `${target.namespace}/`}${target.name ?? ''}`,
      rights: (context) => rightsOfObjects(options, [target], context),
      async open(context) {
        const client = await openClient(options, context);
        const watched = objectTarget({ ...options, invert }, target, client, context);
        return {
          ...watched,
          stages: watched.stages ?? [],
          [Symbol.dispose]() {
            watched[Symbol.dispose]();
            client[Symbol.dispose]();
          },
        };
      },
    };
  },
});
