// A recipe shows a script and what replaces it: both must be about the same hosts, paths, databases and variables.
import { describe, expect, test } from 'vitest';

import { commands } from '../../../src/commands/index.ts';
import { pageAt, type Block } from './pages.ts';
import { documentsIn, isMap } from './yaml.ts';

/** Words of the program, and of the plans that a recipe writes. */
const own = new Set([...Object.keys(commands), 'initbox', 'plan', 'plan.yaml', 'password-env', 'password']);

/** What the program needs to be told, and the script did not say: options, parts of addresses, and names of its own. */
const added: Readonly<Record<string, readonly string[]>> = {
  'For a port, so many times': ['5m'],
  'For a name of this namespace': ['kafka-headless'],
  'For what an answer says': ['status'],
  'For MongoDB': ['mongodb'],
  'For ZooKeeper': ['zookeeper'],
  'For a topic of Kafka': ['topic'],
  'For RabbitMQ': ['amqp', 'app', 'RABBITMQ_PASSWORD'],
  'For a Job, pods or a Service of Kubernetes': ['10m', 'pods', 'app'],
  "For somebody else's migration": ['exec', 'interval', '5s'],
  'With a time limit': ['5m', '-ec'],
  'Download one compressed file': ['5', '4Gi', 'm.bin'],
  'Folders, empty files and modes': ['mode'],
  'Owner and modes of a volume': ['owner', 'remove'],
  'A commit of a Git repository': ['netrc'],
  "A number from the pod's name": ['ordinal', 'plus'],
  'A file that stands in the manifest': ['APP_INI'],
  'A Secret of Kubernetes that comes later': ['kubernetes'],
  'Objects of S3 and a parameter of AWS': ['aws-ssm'],
  'Objects and a secret of Google': ['gcp-sm'],
  'A template of Vault Agent': ['consul-template'],
  'A truststore for Java': ['STORE_PASSWORD'],
  "A certificate of one's own, and a keystore of it": ['keys'],
};

const page = pageAt('docs/recipes.md');
const lineOf = ({ place }: Block): number => Number(place.split(':')[1]);
const headings = page.text
  .split('\n')
  .flatMap((line, index) => (line.startsWith('### ') ? [{ name: line.slice(4), line: index + 1 }] : []));

/** The texts of a container or a file; not what it is called, or its image. */
function textsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(textsOf);
  if (!isMap(value)) return [String(value)];
  return Object.entries(value).flatMap(([key, one]) =>
    key === 'image' || key === 'name' ? [] : textsOf(one),
  );
}

const wordsOf = (text: string): string[] => text.match(/[\w.-]+/g) ?? [];

describe('what replaces a script names nothing that the script does not', () => {
  test.each(
    headings.map(({ name, line }, index) => [name, line, headings[index + 1]?.line ?? Infinity] as const),
  )('%s', (name, line, end) => {
    const [before, ...after] = page.blocks.filter((block) => lineOf(block) > line && lineOf(block) < end);
    const known = new Set([...own, ...wordsOf(before?.text ?? '')]);
    const said = after.flatMap((block) => textsOf(documentsIn(block))).flatMap(wordsOf);
    const others = new Set(said.filter((word) => !known.has(word) && !word.startsWith('--')));
    // Both ways: what is not said any more must not be allowed.
    expect([...others].toSorted()).toEqual((added[name] ?? []).toSorted());
  });
});
