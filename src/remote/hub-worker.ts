// The worker of a job that came through the hub, in a container that somebody pays for by the hour. It fetches the job, does it as a job of a
// folder, tells from time to time that it lives, and sends the result, or why there is none. A container that ends is started anew where it
// runs; so the first question is always what was said before: a job is begun once, and never again by a container that was killed in it.

import { rmSync } from 'node:fs';

import { UserError } from '../base/errors.ts';
import { fetchPart, type JobPlace, readJob, sendResult, sendWord } from './hub-transport.ts';
import type { JobState } from './job.ts';

export type HubJobOptions = JobPlace & {
  /** Folder to do it in; what is there goes. */
  readonly folder: string;
  /** Does the job of the folder, telling now and then that it lives. */
  readonly run: (onBeat: () => void) => Promise<JobState>;
  readonly clock: () => number;
  /** Milliseconds between two words to the hub: each is a commit, and hubs count them. */
  readonly every?: number;
  /** A pause; an argument so that tests need none. */
  readonly wait?: (ms: number) => Promise<void>;
};

/** Attempts at sending what hours of work have made. */
const tries = 5;

/**
 * Does a job of the hub and says how it ended.
 *
 * @throws UserError `job.none` where none was sent; `hub.*` where even that it failed cannot be said
 */
export async function runHubJob({ folder, run, clock, every = 120_000, wait = pause, ...place }: HubJobOptions): Promise<JobState> {
  const { log, name } = place;
  const word = await readJob(place);
  if (!word) throw new UserError('job.none', `job: none was sent: ${name}; launch it again`);
  const { attempt } = word.job;
  const say = (said: Parameters<typeof sendWord>[0]) => sendWord(said, { ...place, attempt });
  if (word.said?.state === 'done' || word.said?.state === 'failed') return word.said;
  if (word.said) return fail('its container was started again in the middle of it (killed, or out of memory)');

  const beat = () => say({ state: 'running', heartbeat: clock() });
  let last = clock();
  let sending = Promise.resolve();
  const onBeat = () => {
    if (clock() - last < every) return;
    last = clock();
    // One that is lost is not missed: the next comes soon.
    sending = sending.then(beat).catch((fault: Error) => log(`not told that it lives: ${fault.message}`));
  };
  try {
    await beat();
    rmSync(folder, { recursive: true, force: true });
    await fetchPart('inputs', { ...place, commit: word.commit, into: folder });
    const ended = await run(onBeat);
    await sending;
    if (ended.state === 'failed') return await fail(ended.reason, ended.log);
    await persist(() => sendResult(folder, place));
    return ended;
  } catch (fault) {
    await sending;
    return fail((fault as Error).message);
  }

  async function fail(reason: string, words?: string): Promise<JobState> {
    const failed = { state: 'failed', reason, ...(words !== undefined && { log: words }) } as const;
    await persist(() => say(failed));
    return failed;
  }

  async function persist(work: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (fault) {
        if (attempt === tries) throw fault;
        log(`${(fault as Error).message}; trying again`);
        await wait(30_000 * 2 ** (attempt - 1));
      }
    }
  }
}

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));
