/** `node main.ts ENTRY`: see warm.ts. */
import { argv } from 'node:process';

import { warm } from './warm.ts';

const [entry] = argv.slice(2);
if (entry === undefined) throw new Error('usage: node main.ts ENTRY');
await warm(entry);
