/**
 * Adds up vitest's JSON reports: `node totals.ts FOLDER [FAILED STEP]…`; a report has its step's name. Prints
 * what failed and what was skipped, then one line with the totals; exits 1 unless everything passed.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { argv, exit } from 'node:process';
import { stripVTControlCharacters } from 'node:util';

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

/** How much of a failure's message stands below it. */
const mostLines = 12;

const [folder, ...failedSteps] = argv.slice(2);
if (!folder) throw new Error('usage: node totals.ts FOLDER [FAILED STEP]…');

function beginning(message: string): string[] {
  return stripVTControlCharacters(message).split('\n').slice(0, mostLines);
}

const failures: string[] = [];
let passed = 0;
let skipped = 0;
for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
  const before = failures.length;
  const report = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Report;
  for (const { name, status, message, assertionResults } of report.testResults) {
    const failed = assertionResults.filter((one) => one.status === 'failed');
    for (const { fullName, failureMessages = [] } of failed)
      failures.push([fullName, ...failureMessages.flatMap(beginning)].join('\n    '));
    // A file that could not be loaded has no tests to count.
    if (status === 'failed' && failed.length === 0) failures.push(`${name}: ${message.split('\n')[0]}`);
    const rest = assertionResults.filter((one) => one.status !== 'failed' && one.status !== 'passed');
    for (const { fullName } of rest) console.log(`skipped ${fullName}`);
    passed += assertionResults.filter((one) => one.status === 'passed').length;
    skipped += rest.length;
  }
  // The step that ran these tests failed because of them: counted once.
  const step = failedSteps.indexOf(basename(file, '.json'));
  if (failures.length > before && step >= 0) failedSteps.splice(step, 1);
}
failures.push(...failedSteps);

for (const failure of failures) console.log(`failed ${failure}`);
console.log(`${passed} passed, ${failures.length} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
exit(failures.length > 0 || passed === 0 ? 1 : 0);
