import { describe, expect, test } from 'vitest';

import { parseExpectation } from '../../../../src/commands/wait-kubernetes/expectation.ts';
import { parseJsonPath, valuesAt } from '../../../../src/commands/wait-kubernetes/json-path.ts';
import { judgeObject } from '../../../../src/commands/wait-kubernetes/judge.ts';
import { parseObjectTarget } from '../../../../src/commands/wait-kubernetes/target.ts';

const same = (text: string): string => text;
const object = {
  metadata: { name: 'x', namespace: 'n', generation: 2, labels: { 'a.b/c': 'v' } },
  spec: {
    replicas: 3,
    ports: [
      { name: 'http', port: 80 },
      { name: 'https', port: 443 },
    ],
  },
  status: { phase: 'Running', empty: '' },
};

describe('JSON paths', () => {
  test.each([
    ['{.status.phase}', ['Running']],
    ['.status.phase', ['Running']],
    ['status.phase', ['Running']],
    ['{$.spec.replicas}', [3]],
    ['{.spec.ports[0].port}', [80]],
    ['{.spec.ports[-1].port}', [443]],
    ['{.spec.ports[7].port}', []],
    ['{.spec.ports[*].name}', ['http', 'https']],
    ['{.spec.ports[?(@.name=="https")].port}', [443]],
    ["{.spec.ports[?(@.name != 'https')].port}", [80]],
    ['{.spec.ports[?(@.port==80)].name}', ['http']],
    ["{.metadata.labels['a.b/c']}", ['v']],
    [String.raw`{.metadata.labels.a\.b/c}`, ['v']],
    ['{.constructor}', []],
    ['{.status.empty}', ['']],
  ])('%s', (path, found) => expect(valuesAt(object, parseJsonPath(path))).toEqual(found));

  test.each(['', '{}', '{.a..b}', '{.a[1:2]}', '{range .a}', '{.a[?(@.b>1)]}'])('%j is refused', (path) =>
    expect(() => parseJsonPath(path)).toThrow(/is not a JSON path/),
  );
});

describe('what must hold', () => {
  test.each([
    ['exists', { for: 'exists' }],
    ['delete', { for: 'gone' }],
    ['ended', { for: 'ended' }],
    ['ended=x', undefined],
    ['condition=Ready', { for: 'condition', type: 'Ready', status: 'True' }],
    ['condition=Ready=False', { for: 'condition', type: 'Ready', status: 'False' }],
    ['jsonpath={.a[?(@.b=="c")].d}=e=f', { for: 'jsonpath', value: 'e=f' }],
    ["jsonpath='{.a}'", undefined],
    ['jsonpath={.a}', { for: 'jsonpath', value: undefined }],
    ['jsonpath=.a="x"', { for: 'jsonpath', value: 'x' }],
    ['condition=', undefined],
    ['ready', undefined],
    ['', undefined],
  ])('%s', (text, expected) => {
    if (expected === undefined) expect(() => parseExpectation(text)).toThrow();
    else expect(parseExpectation(text)).toMatchObject(expected);
  });

  test.each([
    ['True', 2, 'yes'],
    ['true', undefined, 'yes'],
    ['True', 1, 'no'],
    ['False', 2, 'no'],
  ])('a condition that is %s as of generation %s: %s', (status, observedGeneration, state) => {
    const conditions = [
      { type: 'Ready', status, ...(observedGeneration === undefined ? {} : { observedGeneration }) },
    ];
    const judged = judgeObject(
      'X',
      { ...object, status: { conditions } },
      [parseExpectation('condition=ready')],
      same,
    );
    expect(judged.state).toBe(state);
  });

  test.each([
    [
      'Deployment',
      { replicas: 2 },
      { observedGeneration: 2, updatedReplicas: 2, availableReplicas: 2, replicas: 2 },
      'yes',
    ],
    [
      'Deployment',
      { replicas: 2 },
      { observedGeneration: 1, updatedReplicas: 2, availableReplicas: 2, replicas: 2 },
      'no',
    ],
    [
      'Deployment',
      { replicas: 2 },
      { observedGeneration: 2, updatedReplicas: 1, availableReplicas: 2, replicas: 3 },
      'no',
    ],
    [
      'Deployment',
      { replicas: 2 },
      { observedGeneration: 2, updatedReplicas: 2, availableReplicas: 1, replicas: 2 },
      'no',
    ],
    [
      'Deployment',
      { replicas: 2 },
      { observedGeneration: 2, updatedReplicas: 2, availableReplicas: 2, replicas: 3 },
      'no',
    ],
    ['Deployment', { replicas: 2 }, {}, 'no'],
    [
      'StatefulSet',
      { replicas: 2 },
      {
        observedGeneration: 2,
        availableReplicas: 2,
        updateRevision: 'b',
        currentRevision: 'a',
        updatedReplicas: 1,
      },
      'no',
    ],
    [
      'StatefulSet',
      { replicas: 2, updateStrategy: { rollingUpdate: { partition: 1 } } },
      {
        observedGeneration: 2,
        availableReplicas: 2,
        updateRevision: 'b',
        currentRevision: 'a',
        updatedReplicas: 1,
      },
      'yes',
    ],
    [
      'StatefulSet',
      { replicas: 2, updateStrategy: { type: 'OnDelete' } },
      { observedGeneration: 2, availableReplicas: 2, updateRevision: 'b', currentRevision: 'a' },
      'yes',
    ],
    [
      'DaemonSet',
      {},
      { observedGeneration: 2, desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 3 },
      'yes',
    ],
    [
      'DaemonSet',
      {},
      { observedGeneration: 2, desiredNumberScheduled: 3, updatedNumberScheduled: 2, numberAvailable: 3 },
      'no',
    ],
    [
      'DaemonSet',
      {},
      { observedGeneration: 2, desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 2 },
      'no',
    ],
  ])('%s %j %j: %s', (kind, spec, status, state) => {
    const whole = { metadata: { name: 'x', generation: 2 }, spec, status };
    expect(judgeObject(kind, whole, [{ for: 'rolled-out' }], same).state).toBe(state);
  });
});

describe('targets', () => {
  test.each([
    ['job/migrate', 'jobs', undefined, 'migrate'],
    ['Jobs/shop/migrate', 'jobs', 'shop', 'migrate'],
    ['deploy/api', 'deployments', undefined, 'api'],
    ['deployments.apps/api', 'deployments', undefined, 'api'],
    ['pods', 'pods', undefined, undefined],
    ['po/data/', 'pods', 'data', undefined],
    ['clusterrole/system:node', 'clusterroles', undefined, 'system:node'],
  ])('%s', (text, plural, namespace, name) =>
    expect(parseObjectTarget(text)).toMatchObject({ resource: { plural }, namespace, name }),
  );

  test.each(['', '/x', 'job/', 'job/a/b/c', 'job/-x', 'job/A_/x', 'widget/x', 'job/$(NAME)'])(
    '%j is refused',
    (text) => expect(() => parseObjectTarget(text)).toThrow(),
  );
});
