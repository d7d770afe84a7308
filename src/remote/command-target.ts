// A machine reached by any command of one's own: `command:sbatch --gres=gpu:1 --wrap "clinfuse job run {folder}"`, `command:docker run ...`,
// or `command:clinfuse job run {folder}` for this one. The job is a folder on a disk that both machines see; the command is to bring
// `clinfuse job run FOLDER` about, now or later.
//
// It may be a command that stays until the job is over (docker run) or one that hands it to a queue and returns (sbatch). Its group and its
// exit code are put down in the folder, so that a command that failed is told from one that handed over:
//
//   launcher.json   the group of processes that was started       launcher.code   its exit code      launcher.txt   what it printed

import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';

import { filesAt } from '../base/content-hash.ts';
import { UserError } from '../base/errors.ts';
import { replaceText } from '../base/files.ts';
import { bytesText } from '../base/text.ts';
import { type Environment, startOf, stopGroup } from '../pipeline/shell.ts';
import { type Job, type JobState, jobFileOf, type Target, uploadBytes } from './job.ts';
import { folderState, isJobFolder, stopFolder } from './job-folder.ts';
import { readManifest } from './result.ts';
import { quoted } from './shell-words.ts';

export type CommandTargetOptions = {
  /** What follows `command:`, with `{folder}` for the folder of the job. */
  readonly template: string;
  /** Folder that holds the folders of jobs. */
  readonly root: string;
  readonly environment: Environment;
};

const launcher = z.strictObject({ group: z.int(), started: z.string() });

/** How long a command may stay before it is taken to work, though no job has begun yet. */
const watchMs = 10_000;

/** @throws UserError `job.template` */
export function commandTarget({ template, root, environment }: CommandTargetOptions): Target {
  if (!template.includes('{folder}')) {
    throw new UserError(
      'job.template',
      `job: no {folder} in the command: ${template}; write for example command:clinfuse job run {folder}`,
    );
  }
  const folderOf = (id: string) => join(root, id);

  async function launch(job: Job) {
    const folder = folderOf(job.id);
    await prepare(job, folder);
    const output = openSync(join(folder, 'launcher.txt'), 'w');
    const code = join(folder, 'launcher.code');
    const command = template.replaceAll('{folder}', () => quoted(folder));
    // The code is renamed into place: half of a number is a number.
    // It begins when its group is on file: a launch that dies before leaves nothing that runs.
    const script = `read -r line || exit 125\n(${command}\n) </dev/null\ncode=$?\necho $code > ${quoted(`${code}.part`)} && mv ${quoted(`${code}.part`)} ${quoted(code)}`;
    const child = spawn('/bin/sh', ['-c', script], { env: { ...environment }, detached: true, stdio: ['pipe', output, output] });
    closeSync(output);
    child.on('error', () => {});
    child.unref();
    child.stdin!.on('error', () => {});
    if (child.pid !== undefined) {
      replaceText(join(folder, 'launcher.json'), JSON.stringify({ group: child.pid, started: startOf(child.pid) ?? '' }));
      child.stdin!.end('go\n');
    }
    for (let waited = 0; waited < watchMs && !existsSync(code) && !existsSync(join(folder, 'worker.json')); waited += 20) await wait(20);
    const state = stateOf(folder);
    if (state.state !== 'failed' || existsSync(join(folder, 'worker.json'))) return { folder };
    rmSync(folder, { recursive: true, force: true });
    throw new UserError(
      'job.launch',
      `job: launch failed: ${state.reason}${state.log ? `: ${state.log.split('\n').at(-1)}` : ''}; mend the command`,
    );
  }

  return {
    name: `command:${template}`,
    estimate: async (job) => `${bytesText(uploadBytes(job))} are copied to ${folderOf(job.id)}; what the command costs is not known here`,
    find: async (id) => (isJobFolder(folderOf(id)) ? { folder: folderOf(id) } : undefined),
    launch,
    status: async ({ folder }) => stateOf(folder!),
    collect: async ({ folder }, { into }) => {
      for (const { path } of readManifest(folder!)?.files ?? []) {
        mkdirSync(dirname(join(into, 'out', path)), { recursive: true });
        await cp(join(folder!, 'out', path), join(into, 'out', path));
      }
      await cp(join(folder!, 'manifest.json'), join(into, 'manifest.json'));
    },
    stop: async ({ folder }) => {
      const started = readLauncher(folder!);
      if (started) await stopGroup(started);
      await stopFolder(folder!);
      rmSync(folder!, { recursive: true, force: true });
    },
  };
}

/** Makes the folder of a job: job.json comes last, so that without it nothing is a job. Others on the machine may not look inside. */
async function prepare(job: Job, folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'in'), { recursive: true, mode: 0o700 });
  for (const [name, input] of Object.entries(job.inputs)) {
    if (!('path' in input)) continue;
    for (const file of filesAt(input.path)) {
      mkdirSync(dirname(join(folder, 'in', name, file)), { recursive: true });
      await cp(join(input.path, file), join(folder, 'in', name, file), { dereference: true });
    }
  }
  replaceText(join(folder, 'job.json'), JSON.stringify(jobFileOf(job, randomUUID())));
}

function stateOf(folder: string): JobState {
  const launched = readLauncher(folder);
  const lives = launched !== undefined && startOf(launched.group) === launched.started;
  const code = existsSync(join(folder, 'launcher.code')) ? readFileSync(join(folder, 'launcher.code'), 'utf8').trim() : undefined;
  const state = folderState(folder);
  if (state.state !== 'running' || existsSync(join(folder, 'worker.json')) || code === '0' || (code === undefined && lives)) return state;
  // Killed before its command was started: it never will be.
  if (!launched && code === undefined) return { state: 'gone' };
  const log = readFileSync(join(folder, 'launcher.txt'), 'utf8').trim().slice(-4000);
  return { state: 'failed', reason: code === undefined ? 'the command that was to start it was killed' : `exit code ${code}`, log };
}

function readLauncher(folder: string): z.infer<typeof launcher> | undefined {
  const file = join(folder, 'launcher.json');
  return existsSync(file) ? launcher.parse(JSON.parse(readFileSync(file, 'utf8'))) : undefined;
}
