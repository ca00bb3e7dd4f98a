import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { canMount, processesIn, waitUntil } from './faults.ts';
import { canUseIptables, canUseNetns } from './netns.ts';
import { nodePath, requireOrSkip } from './tools.ts';

describe.skipIf(requireOrSkip('undoing', canMount() ?? canUseNetns() ?? canUseIptables()))(
  'a killed test process',
  () => {
    test('leaves no server, mount, namespace, rule or folder', async () => {
      const module = (name: string) => JSON.stringify(join(import.meta.dirname, `${name}.ts`));
      const program = `
      import { startPostgres } from ${module('postgres')};
      import { mountTmpfs } from ${module('faults')};
      import { createNetns, dropTo } from ${module('netns')};
      const server = await startPostgres();
      // A stopped backend and a stopped postmaster hear no polite signal.
      const client = await server.connect();
      const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
      process.kill(rows[0].pid, 'SIGSTOP');
      process.kill(server.pid, 'SIGSTOP');
      const disk = mountTmpfs({ size: '64k' });
      const namespace = createNetns();
      dropTo('127.0.0.3', 9);
      console.log(JSON.stringify([server.dataDirectory, disk.path, namespace.name]));
      setInterval(() => undefined, 1000);`;
      const child = spawn(nodePath(), ['--input-type=module-typescript', '-e', program], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const said = await new Promise<string>((resolve) =>
        child.stdout.setEncoding('utf8').once('data', resolve),
      );
      const [data = '', disk = '', namespace = ''] = JSON.parse(said) as string[];
      const rules = () => execFileSync('iptables', ['-w', '-S', 'INPUT'], { encoding: 'utf8' });
      const namespaces = () =>
        execFileSync('ip', ['netns', 'list'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
      expect(processesIn(data).length).toBeGreaterThan(1);
      expect(rules()).toContain(`initbox-test-${child.pid}`);
      expect(namespaces()).toContain(namespace);

      child.kill('SIGKILL');
      const left = () => [
        ...processesIn(data),
        ...[dirname(data), disk].filter((path) => existsSync(path)),
        ...(rules().includes(`initbox-test-${child.pid}`) ? ['rule'] : []),
        ...(namespaces().includes(namespace) ? ['namespace'] : []),
      ];
      await waitUntil(() => left().length === 0, { what: () => `the end of ${left().join(', ')}` });
    });
  },
);
