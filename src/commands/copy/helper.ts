import { parentOfHelper, systemHost } from '../../kernel/host.ts';
import { serveCopy } from './assignment.ts';

/** The process that shares the copy of a large tree: started by the program, never by people. */
serveCopy(parentOfHelper(), systemHost);
