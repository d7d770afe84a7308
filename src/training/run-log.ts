// The log of a run as it goes: events are appended, and what the run made is laid beside them.
//
//   log/events.jsonl              all that happened (run-events.ts)
//   log/artifacts/adapter/...     the files it made
//   log/pushed.json               which servers know it by what name (mlflow-push.ts)
//
// Artifacts are hard links where the file system has them, else copies: they cost no space, outlive what they were made from (outputs are
// replaced by renaming, so a link keeps its bytes), and whoever copies the folder to another machine has all there is to push.

import { createHash, randomUUID } from 'node:crypto';
import {
  constants,
  copyFileSync,
  createReadStream,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

import { appendText } from '../base/files.ts';
import { eventLine, eventsFile, type RunEvent, readEvents } from './run-events.ts';
import type { Metric, RunSink } from './tracking.ts';

export type RunLogOptions = {
  readonly name: string;
  /** What the run is listed under; MLflow's word. */
  readonly experiment: string;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Go on with the run whose log is there, if one is; else a log that is there steps aside. */
  readonly resume?: boolean;
  /** Names the run among all runs anywhere; 32 hexadecimal digits, drawn where none is given. */
  readonly id?: string;
};

export const artifactsFolder = (folder: string): string => join(folder, 'artifacts');

/**
 * Opens the log of a run; its folder is made. The log of another run that lies there is renamed, never lost: `log` to `log-6f1c02ab`.
 *
 * @throws UserError `output.*` when something cannot be written, `tracking.malformed`
 */
export function openRunLog(folder: string, { name, experiment, clock, resume = false, id = newId() }: RunLogOptions): RunSink {
  const write = (...events: readonly RunEvent[]) => appendText(eventsFile(folder), events.map(eventLine).join(''));
  const isThere = endLastLine(folder);
  if (isThere && resume) write({ kind: 'resumed', time: clock() });
  else {
    if (isThere) stepAside(folder);
    mkdirSync(folder, { recursive: true });
    write({ kind: 'created', time: clock(), id, name, experiment });
  }
  return {
    params: async (values) => write({ kind: 'params', time: clock(), values }),
    tags: async (values) => write({ kind: 'tags', time: clock(), values }),
    metrics: async (batch) => write(...byStep(batch)),
    rewind: async (step) => write({ kind: 'rewind', time: clock(), step }),
    artifact: async (path) => {
      for (const file of filesOf(path)) write({ kind: 'artifact', time: clock(), path: file.name, ...(await keep(folder, file)) });
    },
    finish: async (status, summary) => write({ kind: 'ended', time: clock(), status, summary }),
  };
}

const newId = () => randomUUID().replaceAll('-', '');

/** Cuts off the line that a killed process left unfinished, and says whether any whole line is there. */
function endLastLine(folder: string): boolean {
  const file = eventsFile(folder);
  if (!existsSync(file)) return false;
  const end = readFileSync(file).lastIndexOf(10) + 1;
  truncateSync(file, end);
  return end > 0;
}

function stepAside(folder: string): void {
  const [first] = readEvents(folder).events;
  const id = first?.kind === 'created' ? first.id : newId();
  renameSync(folder, join(dirname(resolve(folder)), `${basename(folder)}-${id.slice(0, 8)}`));
}

/** Figures of one step and time are one event. */
function byStep(batch: readonly Metric[]): RunEvent[] {
  const groups = new Map<string, Extract<RunEvent, { kind: 'metrics' }>>();
  for (const { step, time, key, value } of batch) {
    const group = groups.get(`${step} ${time}`) ?? { kind: 'metrics', time, step, values: {} };
    group.values[key] = value;
    groups.set(`${step} ${time}`, group);
  }
  return [...groups.values()];
}

type Source = { readonly name: string; readonly path: string };

/** A file, or all files of a folder in order, each with the name it gets. */
function filesOf(path: string, name = basename(resolve(path))): Source[] {
  if (!statSync(path).isDirectory()) return [{ name, path }];
  return readdirSync(path)
    .sort()
    .flatMap((inner) => filesOf(join(path, inner), `${name}/${inner}`));
}

async function keep(folder: string, { name, path }: Source): Promise<{ readonly size: number; readonly sha256: string }> {
  const place = join(artifactsFolder(folder), name);
  mkdirSync(dirname(place), { recursive: true });
  rmSync(place, { force: true });
  try {
    linkSync(path, place);
  } catch {
    // Another file system, or one without links.
    copyFileSync(path, place, constants.COPYFILE_FICLONE);
  }
  return { size: statSync(place).size, sha256: await sha256Of(place) };
}

/** SHA-256 of a file's bytes, in hexadecimal digits. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
