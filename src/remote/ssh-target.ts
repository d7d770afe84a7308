// A machine reached by ssh: `ssh:[USER@]HOST[:FOLDER]`. It needs no more than a login without questions (BatchMode: keys, an agent, or what
// ~/.ssh/config says), tar, and clinfuse on the PATH that `ssh HOST clinfuse --version` finds. The job is the folder FOLDER/ID there, and the
// same program that does it also says how it stands and stops it. Nothing of this machine's environment goes along: what the job needs of
// tokens is to be on the other machine.
//
// All that is said there is one word for ssh, quoted for the shell: names may hold spaces, quotes, dollars and newlines.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';

import { filesAt } from '../base/content-hash.ts';
import { UserError } from '../base/errors.ts';
import { bytesText } from '../base/text.ts';
import type { Environment } from '../pipeline/shell.ts';
import { type Job, type JobState, jobFileOf, type Target, uploadBytes } from './job.ts';
import { quoted } from './shell-words.ts';

export type SshTargetOptions = {
  /** What follows `ssh:`. */
  readonly address: string;
  /** Where `ssh` and `tar` are found. */
  readonly environment: Environment;
  readonly clock: () => number;
};

/** What `clinfuse job status FOLDER --json` prints. */
const told = z.union([
  z.looseObject({ state: z.literal('running'), heartbeat: z.number().optional(), now: z.number() }),
  z.looseObject({ state: z.literal('done'), revision: z.string() }),
  z.looseObject({ state: z.literal('failed'), reason: z.string(), log: z.string().optional() }),
  z.looseObject({ state: z.literal('gone') }),
]);

/** @throws UserError `job.address` */
export function sshTarget({ address, environment, clock }: SshTargetOptions): Target {
  const { host, root } = parseAddress(address);
  const name = `ssh:${address}`;
  const there = (script: string, input?: Readable) => run(script, { host, environment, input });

  async function launch(job: Job) {
    const folder = `${root}/${job.id}`;
    const [place, upload] = [quoted(folder), quoted(`${folder}.upload`)];
    await there(`${needsClinfuse}; rm -rf ${place} ${upload} && umask 077 && mkdir -p ${upload}/in`);
    for (const [input, given] of Object.entries(job.inputs)) {
      if (!('path' in given)) continue;
      const to = `${upload}/in/${quoted(input)}`;
      const files = filesAt(given.path);
      if (files[0] === '') await there(`cat > ${to}`, createReadStream(given.path));
      else await sendFolder(given.path, files, (stream) => there(`mkdir -p ${to} && tar -xf - -C ${to}`, stream));
    }
    // All is there before job.json is, and the folder has its name only then.
    await there(
      [
        `cat > ${upload}/job.json && mv ${upload} ${place} || exit 1`,
        `nohup clinfuse job run ${place} </dev/null >${place}/launcher.txt 2>&1 &`,
        `while [ ! -e ${place}/worker.json ] && kill -0 $! 2>/dev/null; do sleep 0.1 2>/dev/null || sleep 1; done`,
        `[ -e ${place}/worker.json ] || { cat ${place}/launcher.txt >&2; rm -rf ${place}; exit 1; }`,
      ].join('\n'),
      Readable.from([JSON.stringify(jobFileOf(job, randomUUID()))]),
    );
    return { folder };
  }

  async function sendFolder(folder: string, files: readonly string[], send: (stream: Readable) => Promise<string>): Promise<void> {
    const tar = spawn('tar', ['-chf', '-', '-C', folder, '--null', '-T', '-'], {
      env: { ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const packed = ending(tar, 'tar');
    tar.stdin.on('error', () => {});
    tar.stdin.end(files.map((file) => `./${file}\0`).join(''));
    await both(packed, send(tar.stdout));
  }

  async function status({ folder }: { readonly folder?: string }): Promise<JobState> {
    const place = quoted(folder!);
    // A launch that was cut off before it began anything leaves a folder without a worker.
    const answer = await there(
      `[ -e ${place}/worker.json ] || { echo '{"state":"gone"}'; exit 0; }; exec clinfuse job status --json ${place}`,
    );
    const state = parseTold(answer, name);
    if (state.state !== 'running') return state;
    // Clocks differ: what counts is how long ago it was by the clock there.
    return { state: 'running', heartbeat: state.heartbeat === undefined ? undefined : clock() - (state.now - state.heartbeat) };
  }

  return {
    name,
    estimate: async (job) =>
      `${bytesText(uploadBytes(job))} go to ${host}, into ${root}/${job.id}; what that machine costs is not known here`,
    find: async (id) => {
      const folder = `${root}/${id}`;
      return (await there(`[ -e ${quoted(folder)}/job.json ] && echo yes || true`)).trim() === 'yes' ? { folder } : undefined;
    },
    launch,
    status,
    collect: async ({ folder }, { into }) => {
      const tar = spawn('tar', ['-xf', '-', '-C', into], { env: { ...environment }, stdio: ['pipe', 'ignore', 'pipe'] });
      const child = open(`cd ${quoted(folder!)} && exec tar -cf - manifest.json out`, { host, environment });
      child.stdin!.end();
      await both(ending(child, name), ending(tar, 'tar'), pour(child.stdout!, tar.stdin));
    },
    stop: async ({ folder }) => {
      const place = quoted(folder!);
      const end = `[ ! -e ${place}/job.json ] || clinfuse job cancel ${place} >/dev/null || exit 1`;
      await there(`${end}; rm -rf ${place} ${quoted(`${folder}.upload`)}`);
    },
  };
}

const needsClinfuse = 'command -v clinfuse >/dev/null 2>&1 || exit 127';

function parseAddress(address: string): { readonly host: string; readonly root: string } {
  const [, host, folder] = /^((?:[\w.-]+@)?[A-Za-z0-9][\w.-]*)(?::([\s\S]+))?$/.exec(address) ?? [];
  if (host === undefined)
    throw new UserError('job.address', `job: not an address: ssh:${address}; write ssh:HOST, ssh:USER@HOST or ssh:HOST:FOLDER`);
  // Relative to the home folder there, where ssh begins.
  return { host, root: (folder ?? '.cache/clinfuse/jobs').replace(/^~\//, '').replace(/\/+$/, '') };
}

type Place = { readonly host: string; readonly environment: Environment };

function open(script: string, { host, environment }: Place): ChildProcess {
  const words = ['-o', 'BatchMode=yes', '-o', 'ConnectTimeout=20', '--', host, `exec /bin/sh -c ${quoted(script)}`];
  return spawn('ssh', words, { env: { ...environment }, stdio: ['pipe', 'pipe', 'pipe'] });
}

/** Says something there and returns what comes back. */
async function run(script: string, { input, ...place }: Place & { readonly input?: Readable | undefined }): Promise<string> {
  const child = open(script, place);
  let output = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (output += text));
  const sent = input && pour(input, child.stdin!);
  if (!input) child.stdin!.end();
  await both(ending(child, `ssh:${place.host}`), sent);
  return output;
}

/** Pours one stream into another. A program that has read enough (tar stops at the end of an archive) may close early: its exit code tells. */
async function pour(from: Readable, into: Writable): Promise<void> {
  try {
    await pipeline(from, into);
  } catch (cause) {
    if (!/^(EPIPE|ECONNRESET|ERR_STREAM_PREMATURE_CLOSE)$/.test((cause as NodeJS.ErrnoException).code ?? '')) throw cause;
  }
}

/** Waits for all; the first to have failed in this order is told, since a broken pipe follows from what broke it. */
async function both(...work: readonly (Promise<unknown> | undefined)[]): Promise<void> {
  for (const done of await Promise.allSettled(work)) if (done.status === 'rejected') throw done.reason;
}

/** Waits for a program, and says in one line how it failed. */
function ending(child: ChildProcess, who: string): Promise<void> {
  let words = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (words = (words + text).slice(-4000)));
  child.stdin?.on('error', () => {});
  return new Promise((resolve, reject) => {
    child.on('error', (cause) =>
      reject(new UserError('job.program', `job: cannot be started: ${who.split(':')[0]}; install it`, { cause })),
    );
    child.on('close', (code) => {
      if (code === 0) return resolve();
      const last = words.trim().split('\n').at(-1) || `exit code ${code}`;
      if (code === 255)
        reject(
          new UserError(
            'job.unreachable',
            `job: not reached: ${who}: ${last}; try ${who.replace(':', ' ')} by hand (a job that runs goes on)`,
          ),
        );
      else if (code === 127)
        reject(
          new UserError(
            'job.no-clinfuse',
            `job: no clinfuse on ${who}; install it there so that ${who.replace(':', ' ')} clinfuse --version finds it`,
          ),
        );
      else reject(new UserError('job.there', `job: failed on ${who}: ${last}; look there, then run again`));
    });
  });
}

function parseTold(answer: string, who: string): z.infer<typeof told> {
  try {
    return told.parse(JSON.parse(answer));
  } catch (cause) {
    throw new UserError(
      'job.there',
      `job: no answer that can be read from ${who}: ${answer.slice(0, 80)}; is clinfuse there of another version?`,
      { cause },
    );
  }
}
