// The worker: does the job of a folder on the machine where it lies. It tells that it lives every few seconds (status.json), and last of all,
// in one step, that there is a result (manifest.json). Whatever goes wrong before that leaves a reason and the end of the log, never a result.
// What is sent along is checked first: half an upload is no input.

import { appendFileSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { fingerprint } from '../base/content-hash.ts';
import { UserError } from '../base/errors.ts';
import { type Environment, runCommand } from '../pipeline/shell.ts';
import { commandAt, type JobState } from './job.ts';
import { claim, endOfLog, folderState, isToStop, readJobFile, writeStatus } from './job-folder.ts';
import { writeManifest } from './result.ts';
import { quoted } from './shell-words.ts';

export type RunJobOptions = {
  /** The program: `['node', 'main.ts']`. */
  readonly program: readonly string[];
  readonly environment: Environment;
  /** Fetches a model from the hub. */
  readonly pull: (model: { readonly name: string; readonly revision: string | undefined; readonly out: string }) => Promise<unknown>;
  /** Ends the job as if it had been told to stop. */
  readonly signal: AbortSignal;
  readonly clock: () => number;
  /** Told at every heartbeat, for those who pass it on. */
  readonly onBeat?: () => void;
  /** Milliseconds between heartbeats. */
  readonly every?: number;
};

/**
 * Does the job and says how it ended: `done` or `failed`.
 *
 * @throws UserError `job.folder`, `job.taken`: nothing was begun
 */
export async function runJob(folder: string, options: RunJobOptions): Promise<JobState> {
  const { environment, signal, clock, onBeat, every = 5000 } = options;
  const job = readJobFile(folder);
  if (folderState(folder).state === 'done') return folderState(folder);
  const noteCommand = claim(folder);
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  signal.addEventListener('abort', stop, { once: true });
  const beat = () => {
    if (isToStop(folder)) return stop();
    writeStatus(folder, { state: 'running', heartbeat: clock() });
    onBeat?.();
  };
  const beats = setInterval(beat, every);
  const stopped = new Promise<never>((_, reject) =>
    stopping.signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true }),
  );
  stopped.catch(() => {});
  try {
    if (signal.aborted) stop();
    beat();
    rmSync(join(folder, 'manifest.json'), { force: true });
    rmSync(join(folder, 'out'), { recursive: true, force: true });
    rmSync(join(folder, 'log.txt'), { force: true });
    await Promise.race([stopped, fetchInputs()]);
    const log = openLog(join(folder, 'log.txt'), environment);
    // Relative places: what the command writes down of its inputs then speaks of no machine.
    const words = [...options.program, ...commandAt(job, { input: 'in', out: 'out' })];
    const { code, signal: by } = await runCommand(`exec ${words.map(quoted).join(' ')}`, {
      folder,
      environment: { ...environment, SHELL: '/bin/sh' },
      onStart: noteCommand,
      onOutput: log.add,
      signal: stopping.signal,
    });
    log.finish();
    if (stopping.signal.aborted) throw new Error('stopped');
    if (code !== 0) throw new Error(by ? `ended by ${by}` : `exit code ${code}`);
    const missing = job.outputs.find((path) => !existsSync(join(folder, 'out', path)));
    if (missing !== undefined) throw new Error(`output not made: ${missing}`);
    const { revision } = await writeManifest(folder, job);
    return { state: 'done', revision };
  } catch (error) {
    const failed = { state: 'failed', reason: (error as Error).message, log: endOfLog(folder) } as const;
    if (!isGone(folder)) writeStatus(folder, failed);
    return failed;
  } finally {
    clearInterval(beats);
    signal.removeEventListener('abort', stop);
  }

  async function fetchInputs(): Promise<void> {
    for (const [name, input] of Object.entries(job.inputs)) {
      const place = join(folder, 'in', name);
      if ('hub' in input) await options.pull({ name: input.hub, revision: input.revision, out: place });
      else if (!existsSync(place) || (await fingerprint(place)) !== input.fingerprint)
        throw new UserError('job.input', `input arrived damaged: ${name}; launch again`);
    }
  }
}

const isGone = (folder: string): boolean => folderState(folder).state === 'gone';

/** A log, line by line, in which no secret of the environment is shown. */
function openLog(file: string, environment: Environment): { readonly add: (text: string) => void; readonly finish: () => void } {
  const secrets = Object.entries(environment).flatMap(([name, value]) =>
    /TOKEN|SECRET|PASSWORD|API_?KEY/i.test(name) && value && value.length >= 8 ? [value] : [],
  );
  const clean = (text: string) => secrets.reduce((cleaned, secret) => cleaned.replaceAll(secret, '***'), text);
  let rest = '';
  return {
    add: (text) => {
      const end = (rest + text).lastIndexOf('\n') + 1;
      const lines = (rest + text).slice(0, end);
      rest = (rest + text).slice(end);
      if (lines !== '') appendFileSync(file, clean(lines));
    },
    finish: () => {
      if (rest !== '') appendFileSync(file, clean(rest));
    },
  };
}
