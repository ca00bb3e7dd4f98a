import { YamlError, type YamlEntry, type YamlNode } from './nodes.ts';

const mergeKey = '<<';

/**
 * Puts in what merge keys bring (https://yaml.org/type/merge.html): a map's own keys win over those of `<<`, and of
 * several maps the earlier one does. Each value keeps the place where it is written. The maps that come in are no larger
 * than their aliases, whose sum is bounded already.
 * @throws YamlError where `<<` has something else than a map or a list of maps, for every such place
 */
export function withMerges(root: YamlNode): YamlNode {
  const made = new Map<YamlNode, YamlNode>();
  const mistakes: YamlError[] = [];

  const read = (node: YamlNode): YamlNode => {
    if (node.kind === 'scalar') return node;
    const known = made.get(node);
    if (known !== undefined) return known;
    const result: YamlNode =
      node.kind === 'list'
        ? { ...node, items: node.items.map(read) }
        : { ...node, entries: entriesOf(node.entries) };
    made.set(node, result);
    return result;
  };

  const entriesOf = (entries: readonly YamlEntry[]): readonly YamlEntry[] => {
    const found = new Map<string, YamlEntry>();
    for (const entry of entries)
      if (entry.key !== mergeKey) found.set(entry.key, { ...entry, value: read(entry.value) });
    const merged = entries.find(({ key }) => key === mergeKey);
    for (const entry of merged === undefined ? [] : brought(merged))
      if (!found.has(entry.key)) found.set(entry.key, entry);
    return [...found.values()];
  };

  const brought = ({ at, value }: YamlEntry): readonly YamlEntry[] =>
    (value.kind === 'list' ? value.items : [value]).flatMap((item) => {
      const map = read(item);
      if (map.kind === 'map') return map.entries;
      mistakes.push(new YamlError(at, 'a merge key (<<) takes a map, or a list of maps: <<: *defaults'));
      return [];
    });

  const result = read(root);
  const [first, ...others] = mistakes;
  if (first !== undefined) throw new YamlError(first.at, first.message, others);
  return result;
}
