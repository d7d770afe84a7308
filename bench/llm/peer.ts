// A Python program of bench/peers that answers one line with one line, so that its runs and ours can alternate.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export type Peer = {
  /** Once its model is loaded. */
  readonly ready: Promise<unknown>;
  readonly ask: (request: object) => Promise<unknown>;
  readonly stop: () => void;
};

export function startPeer(python: string, script: string, words: readonly string[]): Peer {
  const child = spawn(python, [join(import.meta.dirname, '..', 'peers', script), ...words], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, OMP_WAIT_POLICY: 'PASSIVE' },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`bench: ${script} ended`);
    return JSON.parse(value);
  };
  return {
    ready: answer(),
    ask: (request) => {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return answer();
    },
    stop: () => child.kill(),
  };
}
