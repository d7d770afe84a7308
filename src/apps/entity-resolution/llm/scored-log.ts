// What was scored, as it is scored: one line a batch, behind a first line that says of which questions and by which model. A run that was
// killed goes on from it, so that no question is put to the model twice; what a kill left of a last line is cut off.
//
//   {"key":"3f2a..."}
//   {"places":[17,4],"logits":[[-1.25,1.5],[0.5,-0.75]]}

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';

import { appendText } from '../../../base/files.ts';

const batchLine = z.object({ places: z.array(z.int().min(0)), logits: z.array(z.tuple([z.number(), z.number()])) });

export type ScoredLog = {
  /** Logits by the question's place, as far as they are known. */
  readonly known: ReadonlyMap<number, readonly [number, number]>;
  readonly add: (places: readonly number[], logits: Float32Array) => void;
  readonly remove: () => void;
};

/** Opens the log of a run, or begins anew where there is none or it is of other questions or another model. */
export function openScoredLog(file: string, key: string): ScoredLog {
  const known = new Map<number, readonly [number, number]>();
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
  const isSame = lines[0] === JSON.stringify({ key });
  if (isSame) {
    for (const line of lines.slice(1)) {
      const { places, logits } = batchLine.parse(JSON.parse(line));
      for (const [i, place] of places.entries()) known.set(place, logits[i]!);
    }
  }
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, isSame ? `${lines.join('\n')}\n` : `${JSON.stringify({ key })}\n`);
  return {
    known,
    add: (places, logits) => {
      const rows = places.map((_, i) => [logits[2 * i]!, logits[2 * i + 1]!] as const);
      appendText(file, `${JSON.stringify({ places, logits: rows })}\n`);
      for (const [i, place] of places.entries()) known.set(place, rows[i]!);
    },
    remove: () => rmSync(file, { force: true }),
  };
}
