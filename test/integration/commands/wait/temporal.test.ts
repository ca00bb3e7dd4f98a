// temporal:// on a server of gRPC that has the health of Temporal's frontend and answers its two calls in their messages:
// a Temporal server takes longer to build than all tests here.
import { describe, expect, test } from 'vitest';

import { canUseGrpc, startGrpc } from '../../../support/grpc.ts';
import { freePort } from '../../../support/ports.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';

const frontend = 'temporal.api.workflowservice.v1.WorkflowService';
const notYet = (target: string, said: RegExp) =>
  runToDeadline(['wait', '--timeout', '1s', target], { answered: (stderr) => said.test(stderr) });

describe.skipIf(requireOrSkip('wait for Temporal', canUseGrpc()))('wait for Temporal', () => {
  test('a frontend that comes up later, its namespace and workers', async () => {
    const port = await freePort();
    const at = `temporal://127.0.0.1:${port}`;
    const waiting = await startInitbox(['wait', `${at}?namespace=shop&task-queue=orders`]);
    await waiting.waitForStderr(/connection refused/);
    await using server = await startGrpc(
      [`-states=${frontend}=NOT_SERVING`, `-then=${frontend}=SERVING`, '-namespace=shop', '-polled=orders'],
      port,
    );
    await waiting.waitForStderr(/the health of "temporal\.\S+" is NOT_SERVING/);
    server.goOn();
    const { status, stderr } = await waiting.exit;
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/its frontend is SERVING/),
    });
    for (const [rest, said] of [
      ['?namespace=bank', /has no namespace "bank" .*stage assertion/],
      ['?task-queue=orders', /has no namespace "default"/],
      ['?namespace=shop&task-queue=bills', /has no worker at the task queue "bills" of the namespace "shop"/],
    ] as const)
      expect(await notYet(`${at}${rest}`, said)).toMatchObject({
        status: 124,
        stderr: expect.stringMatching(said),
      });
  });

  test('a server of gRPC that is another one', async () => {
    await using server = await startGrpc();
    const said = /has no health of "temporal\.api\.workflowservice\.v1\.WorkflowService"/;
    expect(await notYet(`temporal://127.0.0.1:${server.port}`, said)).toMatchObject({
      status: 124,
      stderr: expect.stringMatching(said),
    });
    await using half = await startGrpc([`-states=${frontend}=SERVING`]);
    const { status, stderr } = await runInitbox(['wait', `temporal://127.0.0.1:${half.port}?namespace=shop`]);
    expect({ status, stderr }).toMatchObject({
      status: 69,
      stderr: expect.stringMatching(/UNIMPLEMENTED "unknown service temporal\..*not Temporal’s frontend/s),
    });
  });
});
