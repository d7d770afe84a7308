// What happened in a run, one event a line of `events.jsonl`, only ever appended: a killed process loses at most the line it was writing.
// Everything else (the state of a run, its curves, what a server is sent) is read off these lines.
//
//   {"kind":"created","time":1760000000000,"id":"6f1c...","name":"rank-16","experiment":"medquad"}
//   {"kind":"params","time":1760000000001,"values":{"learningRate":"0.0002"}}
//   {"kind":"metrics","time":1760000000900,"step":1,"values":{"loss":2.31,"grad_norm":"NaN"}}
//   {"kind":"artifact","time":1760000009000,"path":"adapter/adapter_config.json","size":612,"sha256":"..."}
//   {"kind":"ended","time":1760000009100,"status":"finished","summary":{"steps":1}}
//
// `resumed` begins another go of the same run, and `rewind` says that it goes on after a step: what was told of later steps before
// that line does not count. Figures that are not finite are "NaN", "Infinity", "-Infinity". Times are milliseconds since 1970.

import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

import { UserError } from '../base/errors.ts';

/** A number as JSON can hold it. */
export const jsonNumber = (value: number): number | string => (Number.isFinite(value) ? value : String(value));

/** Reads what `jsonNumber` wrote. */
export const numberFromJson = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity']).transform(Number)]);

const time = z.number();
const texts = z.record(z.string(), z.string());
/** A place inside the run's `artifacts/`, with `/` on every system; it never leads out of it. */
const artifactPath = z
  .string()
  .min(1)
  .refine(
    (path) => !/[\\\0]/.test(path) && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..'),
    'not a path within',
  );

const runEvent = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('created'), time, id: z.string().min(1), name: z.string(), experiment: z.string().min(1) }),
  z.object({ kind: z.literal('resumed'), time }),
  z.object({ kind: z.literal('params'), time, values: texts }),
  z.object({ kind: z.literal('tags'), time, values: texts }),
  z.object({ kind: z.literal('metrics'), time, step: z.int(), values: z.record(z.string(), numberFromJson) }),
  z.object({ kind: z.literal('rewind'), time, step: z.int() }),
  z.object({ kind: z.literal('artifact'), time, path: artifactPath, size: z.number(), sha256: z.string() }),
  z.object({
    kind: z.literal('ended'),
    time,
    status: z.enum(['finished', 'failed', 'killed']),
    summary: z.record(z.string(), z.unknown()),
  }),
]);

export type RunEvent = z.infer<typeof runEvent>;

export const eventsFile = (folder: string): string => join(folder, 'events.jsonl');

/** A place between two lines: bytes and lines before it. */
export type EventPlace = { readonly bytes: number; readonly lines: number };

export const fromStart: EventPlace = { bytes: 0, lines: 0 };

/** An event as its line. */
export function eventLine(event: RunEvent): string {
  const said = event.kind === 'metrics' ? { ...event, values: mapValues(event.values, jsonNumber) } : event;
  return `${JSON.stringify(said)}\n`;
}

/**
 * The whole lines from a place on, and the place after them. A last line without an end is still being written, or never was finished.
 *
 * @throws UserError `tracking.missing` where the folder holds no run, `tracking.malformed` with the line
 */
export function readEvents(folder: string, from: EventPlace = fromStart): { readonly events: RunEvent[]; readonly end: EventPlace } {
  const file = eventsFile(folder);
  if (!existsSync(file)) throw new UserError('tracking.missing', `tracking: no events.jsonl: ${folder}; name the folder of a run`);
  const text = bytesFrom(file, from.bytes);
  const whole = text.subarray(0, text.lastIndexOf(10) + 1);
  const lines = whole.toString('utf8').split('\n').slice(0, -1);
  const events = lines.map((line, at) => {
    try {
      return runEvent.parse(JSON.parse(line));
    } catch (cause) {
      const hint = 'mend or remove the line';
      throw new UserError('tracking.malformed', `tracking: not an event: ${file}, line ${from.lines + at + 1}; ${hint}`, { cause });
    }
  });
  if (from.lines === 0 && events.length > 0 && events[0]!.kind !== 'created') {
    throw new UserError('tracking.malformed', `tracking: not the log of a run: ${file}; its first line tells of no run`);
  }
  return { events, end: { bytes: from.bytes + whole.length, lines: from.lines + lines.length } };
}

function bytesFrom(file: string, from: number): Buffer {
  const bytes = Buffer.alloc(Math.max(0, statSync(file).size - from));
  const handle = openSync(file, 'r');
  try {
    let filled = 0;
    for (let read = -1; filled < bytes.length && read !== 0; filled += read) {
      read = readSync(handle, bytes, filled, bytes.length - filled, from + filled);
    }
    return bytes.subarray(0, filled);
  } finally {
    closeSync(handle);
  }
}

function mapValues<T, U>(values: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, change(value)]));
}
