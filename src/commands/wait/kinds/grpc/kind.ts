import { quoted } from '../../../../core/misplaced-secret.ts';
import { value } from '../../../../core/options/option.ts';
import { UsageError } from '../../../../core/outcome.ts';
import { grpcTarget, grpcTargetOptions } from '../../grpc-target.ts';
import { defineKind } from '../../kind.ts';

export const grpc = defineKind({
  options: {
    service: value({
      description: 'the service whose health counts; unset, the server as a whole',
      placeholder: 'NAME',
      parse: parseService,
    }),
    ...grpcTargetOptions,
  },
  limit: 5000,
  read(given, around) {
    const { url, name, open } = grpcTarget(
      given,
      { secure: 'grpcs', port: given.scheme === 'grpcs' ? 443 : undefined, example: 50_051 },
      around,
    );
    const { service } = given.options;
    if (url.path !== '' && service !== undefined)
      throw new UsageError('the service is given by the URL and by service; use one, not both');
    const asked = service ?? (url.path === '' ? '' : parseService(url.path));
    const shown = asked === '' ? name : `${name}/${asked}`;
    return {
      name: shown,
      async open(context) {
        const { attemptGrpcHealth } = await import('../../../../clients/grpc/health.ts');
        return open(
          context,
          shown,
          (place, tools) => (probe) => attemptGrpcHealth({ place, service: asked }, tools, probe),
        );
      },
    };
  },
});

/** @throws Error that says what is accepted */
function parseService(given: string): string {
  if (!/^[\w.\-/]{1,255}$/.test(given))
    throw new Error(`${quoted(given)} is not the name of a service; write package.Service`);
  return given;
}
