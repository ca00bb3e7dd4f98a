import { serveChown } from './commands/chown/assignment.ts';
import { parentOfHelper, systemHost } from './kernel/host.ts';

/** The process that shares the walk of a large tree: started by the program, never by people. */
serveChown(parentOfHelper(), systemHost);
