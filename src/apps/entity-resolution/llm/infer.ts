// Puts questions about pairs to a language model and writes what it answers. A classifier gives two scores; a model without a classification
// head is asked in its own words and gives the scores of `False` and `True` as the next token. Questions are read and tokenised some thousand
// at a time; what is scored is logged batch by batch beside the output, so that a killed run goes on where it was (scored-log).
//
// predictions.parquet: all columns of the input but the text, then
//   logit_0, logit_1    the two scores as they are      correct      where labels are known
//   clinical_log_odds   ln odds of a match for balanced pairs: logit_1 - logit_0, calibrated where the model brings calibration.json
//   prediction          1: match, where those are above 0          confidence   probability of what was predicted, not rounded
//
// A classification head has no bias: on a model trained for a while its zero may lie where matches are four times as likely.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { z } from 'zod';
import { filesAt, fingerprint as hashOf } from '../../../base/content-hash.ts';
import { UserError } from '../../../base/errors.ts';
import { writeFile, writeJson } from '../../../base/files.ts';
import type { Progress } from '../../../base/progress.ts';
import { rounded, sigmoid } from '../../../base/statistics.ts';
import { type Classification, classificationMetrics } from '../../../evaluation/classification.ts';
import { type Calibration, calibrate } from '../../../evidence/calibrate.ts';
import { chatTemplateOf } from '../../../models/chat-template.ts';
import { answerLogits, classLogits } from '../../../models/classify.ts';
import { openModel } from '../../../models/folder.ts';
import { languageModel } from '../../../models/language-model.ts';
import { openTokenizer } from '../../../models/open-tokenizer.ts';
import { readAdapter } from '../../../models/peft.ts';
import { loadResident } from '../../../models/resident.ts';
import { policyNamed, type StoragePolicy, storageOf } from '../../../models/storage.ts';
import type { Tokenizer } from '../../../models/tokenizer.ts';
import { type Database, literal } from '../../../sql/duckdb.ts';
import { questionCutter } from './pair-rows.ts';
import type { Questions } from './questions.ts';
import { openScoredLog } from './scored-log.ts';

export type InferPairsOptions = {
  readonly model: string;
  readonly adapter?: string | undefined;
  /** .parquet, or .csv; inference_metrics.json goes beside it. */
  readonly out: string;
  /** Longest question in tokens. */
  readonly maxLength: number;
  /** Most questions at once. */
  readonly batchSize: number;
  /** How weights are kept; default: as the adapter was trained, float32 for an adapter that does not say, else NF4. */
  readonly storage?: StoragePolicy | undefined;
  readonly threads?: number | undefined;
  readonly progress: Progress;
  /** What is left to do with what was written; until it is done, a run that goes on asks nothing again. */
  readonly finish?: (() => Promise<void>) | undefined;
  /** Milliseconds, for the throughput. */
  readonly clock: () => number;
};

export type InferPairsReport = {
  readonly examples: number;
  readonly elapsed_seconds: number;
  readonly throughput: number;
  readonly batch_size: number;
  /** Of them, scored by an earlier run that did not end. */
  readonly resumed: number;
  readonly form: 'class' | 'words';
  readonly storage: StoragePolicy;
  readonly metrics?: Pick<Classification, 'accuracy' | 'precision' | 'recall' | 'f1'> & { readonly log_loss: number };
  /** Where the data says what kind of pair each is: how many there are, and how many of them were answered rightly. */
  readonly kinds?: Readonly<Record<string, { readonly pairs: number; readonly correct: number }>>;
};

/** Questions that are read, tokenised and sorted by length together. */
const windowSize = 1024;

/**
 * Scores every question and writes predictions and inference_metrics.json.
 *
 * @throws UserError for models, adapters and questions that cannot be used; `infer.words` for a model that writes `True` in several tokens
 */
export async function inferPairs(db: Database, questions: Questions, options: InferPairsOptions): Promise<InferPairsReport> {
  const { model: path, adapter: adapterPath, out, maxLength, batchSize, threads, progress, clock } = options;
  const folder = await openModel(path);
  try {
    const read = adapterPath === undefined ? undefined : await readAdapter(adapterPath, { base: folder });
    const storage = options.storage ?? policyNamed(read?.trainedOn) ?? (read ? 'f32' : 'nf4');
    const tokenizer = openTokenizer(path);
    const form = folder.tensors.has('score.weight') || read?.adapter.saved.has('score.weight') ? 'class' : 'words';
    const answers = form === 'words' ? answerTokens(tokenizer) : undefined;
    const ask = asker(tokenizer, { form, maxLength: Math.min(maxLength, folder.config.contextLength) });
    const key = await keyOf({
      path,
      adapterPath,
      storage,
      form,
      maxLength,
      batchSize,
      source: folder.config.source,
      texts: await fingerprint(questions),
    });
    const log = openScoredLog(`${out}.scored.jsonl`, key);
    const resumed = log.known.size;
    const start = clock();
    if (resumed < questions.count) {
      const resident = await loadResident(folder, { storage: storageOf(storage), progress });
      const model = languageModel(resident, { ...(read && { adapter: read.adapter }), session: { ...(threads && { threads }) } });
      const step = progress.step('asking', { total: questions.count - resumed, unit: 'pairs' });
      for (let from = 0; from < questions.count; from += windowSize) {
        const isDone = (i: number) => log.known.has(from + i);
        const texts = await questions.texts(from, windowSize);
        if (texts.every((_, i) => isDone(i))) continue;
        const ids = texts.map(ask);
        // In the batches of an unbroken run, less those that are done: a batch's padding shows in the last bits of its scores.
        const options = { textsAtOnce: batchSize, isDone };
        for await (const { places, logits } of answers
          ? answerLogits(model, ids, { ...options, answers })
          : classLogits(model, ids, options)) {
          log.add(
            places.map((i) => from + i),
            logits,
          );
          step.advance(places.length);
        }
      }
      step.finish();
      await model.close();
    }
    const seconds = (clock() - start) / 1000;
    const logits = Float64Array.from({ length: 2 * questions.count }, (_, i) => log.known.get(i >> 1)![i % 2]!);
    const calibration = readCalibration(adapterPath ?? path);
    const odds = Float64Array.from({ length: questions.count }, (_, i) => logits[2 * i + 1]! - logits[2 * i]!);
    const calibrated = calibration ? odds.map((value) => calibrate(calibration, value)) : odds;
    const measured = questions.hasLabels ? await measure(questions, calibrated) : undefined;
    await writePredictions(db, questions, { logits, odds: calibrated, out });
    const fresh = questions.count - resumed;
    const report: InferPairsReport = {
      examples: questions.count,
      elapsed_seconds: rounded(seconds, 2),
      throughput: rounded(fresh / Math.max(seconds, 1e-3), 2),
      batch_size: batchSize,
      ...{ resumed, form, storage },
      ...measured,
    };
    await writeJson(join(dirname(out), 'inference_metrics.json'), report);
    await options.finish?.();
    log.remove();
    return report;
  } finally {
    await folder.close();
  }
}

/** A question as tokens: for a classifier the text as it is, for a model of words as a chat up to where the answer begins. */
function asker(tokenizer: Tokenizer, { form, maxLength }: { readonly form: 'class' | 'words'; readonly maxLength: number }) {
  if (form === 'class') {
    const cut = questionCutter(tokenizer, maxLength);
    return (text: string): readonly number[] => tokenizer.encode(cut(text)).slice(0, maxLength);
  }
  const template = tokenizer.chatTemplate === undefined ? undefined : chatTemplateOf(tokenizer);
  const framed = (text: string): number[] =>
    template === undefined
      ? tokenizer.encode(text)
      : tokenizer.encode(template.render([{ role: 'user', content: text }], { addGenerationPrompt: true }), { special: false });
  const cut = questionCutter(tokenizer, maxLength - framed('').length);
  return (text: string): readonly number[] => framed(cut(text)).slice(-maxLength);
}

/**
 * The tokens of False and True. After a template an answer stands at the line's start; after plain text a space comes before it.
 *
 * @throws UserError `infer.words` for a model that writes one of them in several tokens
 */
export function answerTokens(tokenizer: Tokenizer): readonly number[] {
  const before = tokenizer.chatTemplate === undefined ? ' ' : '';
  return ['False', 'True'].map((word) => {
    const [first, ...more] = tokenizer.encode(before + word, { special: false });
    if (first !== undefined && more.length === 0) return first;
    throw new UserError(
      'infer.words',
      `infer: the model writes ${word} in ${1 + more.length} tokens; train a classification head (er llm train)`,
    );
  });
}

/** Of all texts, in order: the log of another file must not be taken for this one's. */
async function fingerprint(questions: Questions): Promise<string> {
  const hash = createHash('sha256');
  for (let from = 0; from < questions.count; from += windowSize) {
    for (const text of await questions.texts(from, windowSize)) hash.update(text).update('\0');
  }
  return hash.digest('hex');
}

/** Everything a score depends on: the model's files by size and time, a small adapter by its bytes. */
async function keyOf({
  path,
  adapterPath,
  ...rest
}: {
  readonly path: string;
  readonly adapterPath: string | undefined;
} & Readonly<Record<string, unknown>>): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(rest));
  for (const name of filesAt(path)) {
    const { size, mtimeMs } = statSync(join(path, name));
    hash.update(`${name} ${size} ${mtimeMs}\n`);
  }
  if (adapterPath !== undefined) hash.update(await hashOf(adapterPath));
  return hash.digest('hex').slice(0, 32);
}

async function measure(questions: Questions, odds: Float64Array): Promise<Pick<InferPairsReport, 'metrics' | 'kinds'>> {
  const { label, kind } = await questions.labels();
  const predicted = Uint8Array.from(odds, (value) => Number(value > 0));
  const { accuracy, precision, recall, f1 } = classificationMetrics(predicted, label);
  let loss = 0;
  for (const [i, one] of label.entries()) loss += Math.log1p(Math.exp((one === 1 ? -1 : 1) * odds[i]!));
  const metrics = { accuracy, precision, recall, f1, log_loss: loss / Math.max(1, label.length) };
  if (!kind) return { metrics };
  const kinds: Record<string, { pairs: number; correct: number }> = {};
  for (const [i, name] of kind.entries()) {
    const one = (kinds[name] ??= { pairs: 0, correct: 0 });
    one.pairs += 1;
    one.correct += Number(predicted[i] === label[i]);
  }
  return { metrics, kinds };
}

async function writePredictions(
  db: Database,
  { source, count, hasLabels }: Questions,
  { logits, odds, out }: { readonly logits: Float64Array; readonly odds: Float64Array; readonly out: string },
): Promise<void> {
  const of = (side: 0 | 1) => Float64Array.from({ length: count }, (_, i) => logits[2 * i + side]!);
  await db.createTable('answers', {
    place: { type: 'INTEGER', values: Int32Array.from({ length: count }, (_, i) => i) },
    prediction: { type: 'INTEGER', values: Int32Array.from(odds, (value) => Number(value > 0)) },
    confidence: { type: 'DOUBLE', values: odds.map((value) => sigmoid(Math.abs(value))) },
    logit_0: { type: 'DOUBLE', values: of(0) },
    logit_1: { type: 'DOUBLE', values: of(1) },
    clinical_log_odds: { type: 'DOUBLE', values: odds },
  });
  const query = `select q.* exclude (place), a.* exclude (place)${hasLabels ? ', cast(q.label as INTEGER) = a.prediction as correct' : ''}
    from (${source}) q join answers a using (place) order by place`;
  await writeFile(out, (file) =>
    extname(out) === '.csv' ? db.run(`copy (${query}) to ${literal(file)} (format csv, header)`) : db.writeParquet(query, file),
  );
  await db.run('drop table answers');
}

const calibrationFile = z.object({ kind: z.literal('platt'), slope: z.number(), intercept: z.number() });

/** What training measured on questions it had not learned from. */
function readCalibration(folder: string): Calibration | undefined {
  const file = join(folder, 'calibration.json');
  if (!existsSync(file)) return undefined;
  const parsed = calibrationFile.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (parsed.success) return parsed.data;
  throw new UserError('infer.calibration', `infer: not understood: ${file}; remove it, or train again`);
}
