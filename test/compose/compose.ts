import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

const file = join(import.meta.dirname, '../../docker-compose.test.yml');

/** Compose as Docker's plugin (2 and later), or on its own (1.29). */
function composeCommand(): readonly string[] {
  for (const command of [['docker', 'compose'], ['docker-compose']] as const) {
    if (spawnSync(command[0], [...command.slice(1), 'version'], { stdio: 'ignore' }).status === 0)
      return command;
  }
  throw new Error('there is no compose: neither `docker compose` nor `docker-compose` runs');
}

/** A service's container once it has ended. Times are Docker's, in ISO 8601. */
export interface Service {
  readonly status: number;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly logs: string;
}

/** The project, under a name of its own so that it meets no other. */
export class Project {
  readonly #command = composeCommand();
  readonly #name = `initbox-test-${randomBytes(4).toString('hex')}`;

  /**
   * Starts the named services, or everything; each waits for those that it depends on. Rejects when one of those fails.
   */
  async up(...services: readonly string[]): Promise<void> {
    await this.#compose('up', '--detach', '--no-build', ...services);
  }

  /** Removes the project's containers, networks and volumes, and nothing else. */
  async down(): Promise<void> {
    await this.#compose('down', '--volumes', '--timeout', '5', '--remove-orphans');
  }

  /** Waits for the end of a service's container. */
  async ended(service: string): Promise<Service> {
    const id = (await this.#compose('ps', '--all', '--quiet', service)).trim();
    if (id === '') throw new Error(`the service ${service} has no container`);
    const status = Number(await run('docker', 'wait', id));
    const [startedAt = '', finishedAt = ''] = (
      await run('docker', 'inspect', '--format', '{{.State.StartedAt}} {{.State.FinishedAt}}', id)
    ).split(/\s+/);
    return { status, startedAt, finishedAt, logs: await run('docker', 'logs', id) };
  }

  /** Everything that was said, for a failure's message. */
  logs(): Promise<string> {
    return this.#compose('logs', '--no-color');
  }

  #compose(...args: readonly string[]): Promise<string> {
    const [command = '', ...first] = this.#command;
    return run(command, ...first, '--file', file, '--project-name', this.#name, ...args);
  }
}

/** Both outputs of a command that ended with 0. */
function run(command: string, ...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    }
    child.on('error', reject);
    child.on('close', (status) => {
      if (status === 0) resolve(output);
      else reject(new Error(`${command} ${args.join(' ')} ended with ${status}:\n${output}`));
    });
  });
}
