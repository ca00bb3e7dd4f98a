import { everythingIsRequired } from './tools.ts';

/**
 * Seconds for which a test exchanges, swaps or plants names while the program works: few while developing, more where
 * everything must hold. INITBOX_TEST_ATTACK sets another time, to look for what is rare.
 */
export const attackSeconds = Number(process.env['INITBOX_TEST_ATTACK'] ?? (everythingIsRequired() ? 12 : 4));
