// What a test changes outside its own memory (processes, mounts, firewall rules, namespaces, folders) has to go
// away even when the test is killed with SIGKILL. A small shell, in a session of its own, holds the undo commands
// and reads from a pipe whose only writer is this process: at end of file, however it came, it runs them.
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// One line per request: "ID COMMAND" sets, "ID" alone forgets. The last thing done is the first undone.
const watcherScript = `
trap '' HUP INT TERM
kill_tree() {
  for child in $(cat /proc/$1/task/*/children); do kill_tree "$child"; done
  kill -KILL "$1"
}
kill_in_directory() {
  for process in /proc/[0-9]*; do
    [ "$(readlink "$process/cwd")" = "$1" ] && kill -KILL "\${process#/proc/}"
  done
  sleep 0.1
}
last=0
while IFS=' ' read -r id command; do
  eval "undo_$id=\\$command"
  [ "$id" -gt "$last" ] && last=$id
done
while [ "$last" -gt 0 ]; do
  eval "command=\\\${undo_$last-}"
  [ -n "$command" ] && ( eval "$command" )
  last=$((last - 1))
done
`;

let watcher: ChildProcess | undefined;
let lastId = 0;

function tell(line: string): void {
  if (watcher === undefined) {
    watcher = spawn('/bin/sh', ['-c', watcherScript], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    watcher.unref();
    (watcher.stdin as unknown as { unref(): void }).unref();
  }
  watcher.stdin?.write(`${line}\n`);
}

/** A registered undo command. */
export interface Undo {
  /** Call when the thing is gone already: the command will not be run. */
  forget(): void;
}

/**
 * Registers a shell command to run when this process ends, in whatever way.
 * The shell knows two functions: `kill_tree PID` (it and its descendants) and
 * `kill_in_directory DIR` (every process whose working directory that is).
 */
export function undoAtDeath(command: string): Undo {
  if (command.includes('\n')) throw new Error('an undo command is one line');
  lastId += 1;
  const id = lastId;
  tell(`${id} ${command}`);
  return { forget: () => tell(`${id}`) };
}

/** Quotes one word for the shell. */
export function quote(word: string | number): string {
  return `'${String(word).replaceAll("'", `'\\''`)}'`;
}

/** A new folder that any user may enter, removed when this process ends, or by `remove()`. */
export function temporaryDirectory(label = 'files'): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), `initbox-test-${label}-`));
  chmodSync(path, 0o755);
  const undo = undoAtDeath(`rm -rf ${quote(path)}`);
  return {
    path,
    remove() {
      rmSync(path, { recursive: true, force: true, maxRetries: 3 });
      undo.forget();
    },
  };
}
