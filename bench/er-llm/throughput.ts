// Pairs a second beside transformers: the same merged model in float32, the same cut questions, in alternating runs, the best of each.
// Both sides tokenise, sort by length and score 16 at a time.

import { join } from 'node:path';

import { questionCutter } from '../../src/apps/entity-resolution/llm/pair-rows.ts';
import { temporaryFolder, writeJson } from '../../src/base/files.ts';
import { classLogits } from '../../src/models/classify.ts';
import { openModel } from '../../src/models/folder.ts';
import { languageModel } from '../../src/models/language-model.ts';
import { openTokenizer } from '../../src/models/open-tokenizer.ts';
import { loadResident } from '../../src/models/resident.ts';
import { storageOf } from '../../src/models/storage.ts';
import { Database, literal } from '../../src/sql/duckdb.ts';
import { startPeer } from '../llm/peer.ts';
import { atMost, type Row } from '../row.ts';
import { pythonOf } from '../splink.ts';
import { maxLength } from './data.ts';

const threads = 2;
const batch = 16;
const pairs = 96;
const rounds = 4;

/** Rows for a merged model's folder and a file of questions. */
export async function* throughput(model: string, questions: string): AsyncIterable<Row> {
  const python = pythonOf('llm');
  if (!python) {
    yield { figure: 'pairs a second beside transformers', value: 0, unit: 'pairs/s', peer: 'not installed', ok: true };
    return;
  }
  const scratch = temporaryFolder();
  const peer = startPeer(python, 'llm-classify.py', [model, String(threads)]);
  const folder = await openModel(model);
  const opened = languageModel(await loadResident(folder, { storage: storageOf('f32') }), { session: { threads } });
  await folder.close();
  try {
    const tokenizer = openTokenizer(model);
    const texts = (await textsOf(questions)).map(questionCutter(tokenizer, maxLength));
    const file = join(scratch.path, 'texts.json');
    await writeJson(file, texts);
    const score = async () => {
      const logits: number[][] = [];
      const ids = texts.map((text) => tokenizer.encode(text));
      for await (const scored of classLogits(opened, ids, { textsAtOnce: batch })) {
        for (const [i, place] of scored.places.entries()) logits[place] = [...scored.logits.subarray(2 * i, 2 * i + 2)];
      }
      return logits;
    };
    await peer.ready;
    const best = { ours: Number.POSITIVE_INFINITY, theirs: Number.POSITIVE_INFINITY };
    let difference = 0;
    for (let round = 0; round < rounds; round++) {
      const start = performance.now();
      const ours = await score();
      best.ours = Math.min(best.ours, (performance.now() - start) / 1000);
      const theirs = (await peer.ask({ do: 'texts', file, batch })) as { readonly seconds: number; readonly logits: number[][] };
      best.theirs = Math.min(best.theirs, theirs.seconds);
      difference = Math.max(...ours.flatMap((pair, i) => pair.map((logit, side) => Math.abs(logit - theirs.logits[i]![side]!))));
    }
    yield {
      figure: `er llm infer, SmolLM2-135M f32, ${pairs} questions of at most ${maxLength} tokens`,
      value: pairs / best.ours,
      unit: 'pairs/s',
      peer: `transformers f32 ${(pairs / best.theirs).toFixed(2)}`,
      ratio: best.theirs / best.ours,
      must: 'ratio >= 1',
      ok: best.theirs >= best.ours,
    };
    yield atMost('largest difference of the scores from those of transformers', difference, 1e-3);
  } finally {
    peer.stop();
    await opened.close();
    scratch.remove();
  }
}

async function textsOf(file: string): Promise<readonly string[]> {
  await using db = await Database.open();
  const rows = await db.rows<{ text: string }>(`select text from read_parquet(${literal(file)}) limit ${pairs}`);
  return rows.map(({ text }) => text);
}
