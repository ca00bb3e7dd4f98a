import { value } from '../../../../core/options/option.ts';
import { grpcTarget, grpcTargetOptions } from '../../grpc-target.ts';
import { defineKind } from '../../kind.ts';

export const temporal = defineKind({
  options: {
    namespace: value({
      description: 'a namespace that must be there',
      placeholder: 'NAME',
      parse: parseName,
    }),
    'task-queue': value({
      description: 'a task queue that workers must poll, of that namespace, or of default',
      placeholder: 'NAME',
      parse: parseName,
    }),
    ...grpcTargetOptions,
  },
  limit: 5000,
  read(given, around) {
    const { url, name, open } = grpcTarget(given, { secure: 'temporals', port: 7233 }, around);
    if (url.path !== '')
      throw new Error('nothing follows the host of a Temporal URL; write temporal://HOST:7233');
    const { namespace, 'task-queue': taskQueue } = given.options;
    return {
      name,
      async open(context) {
        const { attemptTemporal } = await import('../../../../clients/temporal/attempt.ts');
        return open(
          context,
          name,
          (place, tools) => (probe) => attemptTemporal({ place, namespace, taskQueue }, tools, probe),
        );
      },
    };
  },
});

/** @throws Error that says what is accepted */
function parseName(given: string): string {
  if (!/^[^\p{Cc}]{1,1000}$/u.test(given))
    throw new Error('expected a name of 1 to 1000 characters without control characters');
  return given;
}
