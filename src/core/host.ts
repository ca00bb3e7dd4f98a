/** What the operating system does for a process. process/host.ts is the one that does it. */
export interface Host {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** Paths of the running executable and of the script it runs, where that lies: not of a link to it in a PATH. */
  readonly executable: string;
  readonly script: string;
  readonly architecture: string;
  /** Bytes that the container may use; undefined where nothing says so. */
  memoryLimit(): number | undefined;
  /** Sends a signal to a process, or to a process group (a negative pid). False where there is none. */
  kill(pid: number, signal: NodeJS.Signals | 0): boolean;
  /** Makes a directory the current one, of the whole process. */
  chdir(path: string): void;
  /** The addresses of the interfaces that are up, in the kernel's order. @throws the system's error */
  interfaceAddresses(): readonly InterfaceAddress[];
  /**
   * Starts a command's helper, which is installed beside the program: the same Node, with a channel for messages.
   * @throws the system's error where no process can be had
   */
  startHelper(command: string): Helper;
  /** Has the engine collect its short-lived objects more often, rather than take up to 30 MB for them. */
  saveMemory(): void;
  /** Has the engine collect short-lived objects now: it counts their buffers little, and lets 60 MB of them stand. */
  collectGarbage(): void;
}

/** An address of this network namespace. */
export interface InterfaceAddress {
  /** `eth0` */
  readonly name: string;
  readonly address: string;
  readonly family: 4 | 6;
  /** True of the loopback's. */
  readonly internal: boolean;
}

/** A process that shares the work of this one. It ends when this one does. */
export interface Helper {
  readonly pid: number;
  send(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Called once, when it has ended or could not be started; never without one of the two. */
  onEnd(listener: () => void): void;
  /** Ends it at once. */
  kill(): void;
}

/** What a helper has of the process that started it. */
export interface Parent {
  send(message: unknown): void;
  onMessage(listener: (message: never) => void): void;
  /** Called when the other process has ended. */
  onEnd(listener: () => void): void;
}
