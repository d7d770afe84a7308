// A pod of RunPod that does one job: `runpod:image=...`. What it reads and writes travels through a private data set of the hub
// (hub-transport); the pod is named by the job, `clinfuse-ID`, so that a launch that died, or an answer that was lost, never leads to a second.
//
// A pod costs as long as it is there. It deletes itself when the job has ended (hub-worker), and is deleted, and looked after until it is
// gone, by whoever collects, cancels or gives up. Only then is the data set taken away.

import { UserError } from '../base/errors.ts';
import type { Progress } from '../base/progress.ts';
import { bytesText } from '../base/text.ts';
import type { Hub } from '../models/hub.ts';
import { fetchPart, readJob, repositoryOf, sendJob } from './hub-transport.ts';
import { type Job, type JobHandle, type JobState, type Target, uploadBytes } from './job.ts';
import { isRunning, type Pod, type Runpod } from './runpod-api.ts';
import { costText, machineOf, parseRunpodSettings } from './runpod-settings.ts';

export type RunpodTargetOptions = {
  /** As it was given to `--on`: `runpod:image=...`. */
  readonly name: string;
  readonly runpod: Runpod;
  /** The hub of data sets; opened when it is needed. */
  readonly hub: () => Promise<Hub>;
  /** What the pod is told by its environment; a token may be in it. */
  readonly environment: Readonly<Record<string, string>>;
  readonly progress: Progress;
  readonly log: (line: string) => void;
};

/** @throws UserError `job.target` */
export function runpodTarget({ name, runpod, hub: openHub, environment, progress, log }: RunpodTargetOptions): Target {
  const settings = parseRunpodSettings(name.replace(/^runpod:?/, ''));
  const podName = (id: string) => `clinfuse-${id}`;
  const placeOf = async (repository: string) => ({ hub: await openHub(), name: repository, progress, log });

  async function repositoryFor(id: string): Promise<string> {
    return repositoryOf({ owner: settings.owner ?? (await (await openHub()).user()), id });
  }

  const handleOf = (job: string, repository: string, pod?: Pod): JobHandle => ({
    ...{ job, repository, pod: pod?.id ?? '' },
    ...(pod?.costPerHr != null && { dollarsPerHour: String(pod.costPerHr) }),
  });

  async function launch(job: Job): Promise<JobHandle> {
    const repository = await repositoryFor(job.id);
    const there = (await runpod.named(podName(job.id))).find(isRunning);
    if (there) return handleOf(job.id, repository, there);
    await sendJob(job, await placeOf(repository));
    const secret = settings.secret === undefined ? {} : { HF_TOKEN: `{{ RUNPOD_SECRET_${settings.secret} }}` };
    const made = await runpod.create({
      ...machineOf(settings),
      name: podName(job.id),
      dockerStartCmd: ['job', 'run', 'job', '--hub', repository, '--limit', String(settings.limit)],
      env: { ...environment, ...secret },
    });
    // Of two launches at once both look first and find nothing; afterwards both see two pods, and agree on one.
    const [pod, ...others] = (await runpod.named(podName(job.id))).filter(isRunning).sort((a, b) => (a.id < b.id ? -1 : 1));
    for (const { id } of others) await runpod.remove(id);
    return handleOf(job.id, repository, pod ?? made);
  }

  async function status({ job, pod: id, repository }: JobHandle): Promise<JobState> {
    // Asked first: a pod that ends in between has left its last word by then.
    // By its name: of two launches at once, one pod is left.
    const pods = await runpod.named(podName(job!));
    const word = await readJob(await placeOf(repository!));
    if (word?.said && word.said.state !== 'running') return word.said;
    if (pods.some(isRunning)) return word?.said ?? { state: 'running' };
    if (pods.length === 0 && !(word && (id || word.said))) return { state: 'gone' };
    const when = word?.said ? 'without a word (killed, or out of memory, disk or credit)' : 'before it began (is clinfuse in the image?)';
    return { state: 'failed', reason: `its pod ended ${when}` };
  }

  return {
    name,
    estimate: async (job) => {
      const repository = await repositoryFor(job.id);
      return `${bytesText(uploadBytes(job))} go to ${repository} on the hub, private, and are deleted when the result is here; ${costText(settings)}`;
    },
    find: async (id) => {
      const [pod] = [...(await runpod.named(podName(id)))].sort((a, b) => Number(isRunning(b)) - Number(isRunning(a)));
      const repository = await repositoryFor(id);
      const isSent = (await readJob(await placeOf(repository))) !== undefined;
      return pod || isSent ? handleOf(id, repository, pod) : undefined;
    },
    launch,
    status,
    collect: async ({ repository }, { revision, into }) => {
      const place = await placeOf(repository!);
      const word = await readJob(place);
      if (word?.said?.state !== 'done' || word.said.revision !== revision)
        throw new UserError('job.other-result', `job: the result is not there any more: ${repository}; run again`);
      await fetchPart('result', { ...place, commit: word.commit, into });
    },
    stop: async ({ job, pod, repository }) => {
      const pods = new Set((await runpod.named(podName(job!))).map(({ id }) => id));
      if (pod) pods.add(pod);
      for (const id of pods) await runpod.remove(id);
      try {
        await (await openHub()).remove(repository!);
      } catch (cause) {
        // It costs nothing, and is private: not a reason to keep what is done from being done.
        if (!(cause instanceof UserError && cause.code === 'hub.denied')) throw cause;
        log(`not allowed to delete ${repository}: delete it on the hub by hand`);
      }
    },
  };
}
