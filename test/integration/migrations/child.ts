// The runner as a process of its own, for tests that kill it: `node child.ts URL FOLDER TOKEN`.
import { migrate, words } from './harness.ts';

const [, , url = '', folder = '', token = '1'] = process.argv;
const { outcome } = await migrate({ url, folder }, { token: BigInt(token) });
process.stdout.write(`${words(outcome)}\n`);
