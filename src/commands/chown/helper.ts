import { systemHost } from '../../process/host.ts';
import { parentOfHelper } from '../../process/parent.ts';
import { serveChown } from './assignment.ts';

/** The process that shares the walk of a large tree: started by the program, never by people. */
serveChown(parentOfHelper(), systemHost);
