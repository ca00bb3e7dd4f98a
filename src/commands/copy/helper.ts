import { systemHost } from '../../process/host.ts';
import { parentOfHelper } from '../../process/parent.ts';
import { serveCopy } from './assignment.ts';

/** The process that shares the copy of a large tree: started by the program, never by people. */
serveCopy(parentOfHelper(), systemHost);
