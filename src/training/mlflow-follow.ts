// Sends a run while it is at work. Training never waits for it: what happened is in the log before anything is sent, a server that is slow,
// broken or gone is asked again later, with growing pauses, and at the end what is left is sent within a time limit, or stays for
// `clinfuse runs push`.

import { UserError } from '../base/errors.ts';
import { type MlflowOptions, openMlflow } from './mlflow-client.ts';
import { openPush, type Pushed, type PushOptions } from './mlflow-push.ts';

const everyMs = 2000;
const longestPauseMs = 60_000;

export type FollowOptions = Omit<PushOptions, 'client'> & { readonly server: MlflowOptions; readonly log?: (line: string) => void };

export type Follower = {
  /** Sends what is left, and gives up after a while; never throws. */
  readonly stop: (limitMs: number) => Promise<void>;
};

/** Begins to send a run's log as it grows. */
export function followRun(folder: string, { server, log = () => {}, ...options }: FollowOptions): Follower {
  const life = new AbortController();
  // Its own log would tell of every attempt.
  const client = openMlflow({ tries: 3, ...server, log: () => {} });
  let wake = () => {};
  let isEnding = false;
  let said: Pushed | undefined;

  const loop = async () => {
    const pushing = openPush(folder, { client, ...options });
    try {
      for (let failures = 0; ; ) {
        const isLast = isEnding;
        try {
          said = await pushing.push(life.signal);
          if (failures > 0) log(`mlflow: ${client.address} is back`);
          failures = 0;
        } catch (cause) {
          if (!(cause instanceof UserError)) throw cause;
          if (failures === 0) log(`${cause.message} (training goes on)`);
          failures += 1;
          if (isLast) throw cause;
        }
        if (isLast || life.signal.aborted) return;
        await new Promise<void>((done) => {
          const timer = setTimeout(done, Math.min(longestPauseMs, everyMs * 2 ** failures));
          wake = () => {
            clearTimeout(timer);
            done();
          };
          if (isEnding) wake();
        });
      }
    } finally {
      pushing.close();
    }
  };
  // A fault in sending must not end the run, whatever it is.
  const ended = loop().then(
    () => undefined,
    (cause: Error) => cause,
  );

  return {
    stop: async (limitMs) => {
      isEnding = true;
      wake();
      const timer = setTimeout(() => life.abort(), limitMs);
      const cause = await ended;
      clearTimeout(timer);
      if (cause === undefined && said && !life.signal.aborted) {
        for (const one of said.left) log(`mlflow: not sent: ${one}`);
        log(`MLflow: ${runAddress(client.address, said)}`);
      } else {
        const why = cause ? ` (${cause.message.split(';')[0]})` : '';
        log(`mlflow: not all of the run was sent${why}; send the rest with: clinfuse runs push ${folder}`);
      }
    },
  };
}

/** The page of a run. */
export const runAddress = (address: string, { experimentId, runId }: Pick<Pushed, 'experimentId' | 'runId'>): string =>
  `${address}/#/experiments/${experimentId}/runs/${runId}`;
