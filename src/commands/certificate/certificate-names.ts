import { readResolvConf } from '../../clients/dns/resolv-conf.ts';
import { placeOfService, type ServiceName } from '../../clients/dns/service.ts';
import { type AlternativeName, parseAlternativeName } from '../../clients/x509/alternative-names.ts';
import type { Context } from '../../core/context.ts';
import { everyOne } from '../../core/outcome.ts';
import type { CertificateOptions } from './options.ts';

/**
 * All names of the certificate, each once: those that were given, then those of Services, as pods of the same and of other
 * namespaces call them.
 * @throws UsageError where a Service's namespace or the cluster's domain is unknown
 */
export function namesOf(
  given: readonly AlternativeName[],
  options: Pick<CertificateOptions, 'service' | 'headless-service'>,
  { paths }: Pick<Context, 'paths'>,
): readonly AlternativeName[] {
  const all = [...given];
  const services = (['service', 'headless-service'] as const).flatMap((option) =>
    options[option].map((name) => ({ option, name })),
  );
  if (services.length > 0) {
    const config = readResolvConf(paths.resolvConf);
    const place = (option: string, name: ServiceName): string[] => {
      const found = placeOfService(name, config, paths.serviceAccount, {
        origin: `--${option}`,
        instead: (full) => `initbox certificate ${full}`,
      });
      const { service, namespace, domain } = found;
      const outside = [`${service}.${namespace}`, `${service}.${namespace}.svc`];
      const names = [service, ...outside, `${service}.${namespace}.svc.${domain}`];
      // Programs take no wildcard before a single label: kafka-0.kafka has no entry.
      return option === 'service' ? names : [...names, ...names.slice(1).map((one) => `*.${one}`)];
    };
    for (const names of everyOne(services, ({ option, name }) => place(option, name)))
      all.push(...names.map(parseAlternativeName));
  }
  const seen = new Map(all.map((name) => [name.text, name]));
  return [...seen.values()];
}

/** Of a common name (RFC 5280, ub-common-name). */
const longestCommonName = 64;

/** What stands in the subject, which people read, and Java wants not to be empty. */
export function commonNameOf(names: readonly AlternativeName[]): string {
  const fitting = names.find(({ text }) => text.length <= longestCommonName);
  return fitting?.text ?? names[0]?.text.split('.').find((part) => part !== '*') ?? '';
}

/** `shop, shop.prod and 2 more` */
export function shownNames(names: readonly AlternativeName[]): string {
  const texts = names.map(({ text }) => text);
  if (texts.length <= 3) return texts.join(', ').replace(/, ([^,]*)$/, ' and $1');
  return `${texts.slice(0, 2).join(', ')} and ${texts.length - 2} more`;
}
