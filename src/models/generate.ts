// Text generation: prompts go through the model once, then every text grows token by token. As many texts as there are rows grow
// together; where one ends the next prompt takes its row, so that a batch never waits for its longest. No row sees another, and its
// random draws come from a stream of its own, so that a text does not depend on what else is in the batch.

import { UserError } from '../base/errors.ts';
import { type Random, random } from '../base/random.ts';
import { checkTexts } from './check-texts.ts';
import type { Decoder } from './decoder.ts';
import { type KeyValueCache, keyValueCache } from './key-value-cache.ts';
import { candidates, drawToken, largestAt, penalizeRepetition, type Sampling } from './logits.ts';

export type GenerationOptions = Partial<Sampling> & {
  /** Default 128. */
  readonly maxNewTokens?: number;
  /** Default 1: none. */
  readonly repetitionPenalty?: number;
  /** Default 0. */
  readonly seed?: number;
  /** Tokens after which a text is over; default those of the model's config. They are given as the text's last. */
  readonly stopTokens?: readonly number[];
  /** Asked after every token: is the text over? */
  readonly isOver?: (token: NewToken) => boolean;
  /** Texts that grow together; default 8. */
  readonly rows?: number;
  readonly signal?: AbortSignal | undefined;
};

export type NewToken = {
  /** Place of its prompt in the list. */
  readonly prompt: number;
  readonly id: number;
};

export type GeneratedToken = NewToken & {
  /** With a text's last token, why it is the last. */
  readonly end?: 'stop' | 'length';
};

/** How many places of prompts go through the model at once. */
const placesAtOnce = 2048;
/** Tokens of a single prompt at once: bounds the scores of attention, heads * tokens * places. */
const tokensAtOnce = 512;

/**
 * Continues prompts, token by token as they come: of several prompts, mixed. The defaults are greedy.
 *
 * @throws UserError `generate.empty`, `generate.context`, `generate.token`, `generate.options`
 * @throws the signal's reason when it is aborted
 * @example for await (const { prompt, id } of generate(decoder, [[1, 504, 2365]], { maxNewTokens: 20 })) ...
 */
export async function* generate(
  decoder: Decoder,
  prompts: readonly (readonly number[])[],
  options: GenerationOptions = {},
): AsyncGenerator<GeneratedToken, void> {
  const { config } = decoder.model;
  const { maxNewTokens = 128, seed = 0, stopTokens = config.eosTokenIds, isOver = () => false, signal } = options;
  checkOptions(options);
  checkTexts(prompts, { part: 'generate', config, newTokens: maxNewTokens });
  if (prompts.length === 0 || maxNewTokens === 0) return;

  const rows = Math.min(options.rows ?? 8, prompts.length);
  const longest = prompts.reduce((most, { length }) => Math.max(most, length), 0);
  const cache = keyValueCache(config, { rows, places: longest + maxNewTokens });
  const growing: (Growing | undefined)[] = Array.from({ length: rows }, () => undefined);
  const hiddenSize = config.hiddenSize;
  const scores = new Float32Array(rows * config.vocabSize);
  const stops = new Set(stopTokens);
  const choose = chooser(options);
  let next = 0;

  /** Draws the next token of the texts in these rows from the scores, and says which texts end with it. */
  function* grow(at: readonly number[]): Generator<GeneratedToken> {
    for (const [i, row] of at.entries()) {
      const text = growing[row]!;
      const id = choose(scores.subarray(i * config.vocabSize, (i + 1) * config.vocabSize), text);
      text.last = id;
      text.count += 1;
      text.seen.add(id);
      const token = { prompt: text.prompt, id };
      const end = stops.has(id) || isOver(token) ? 'stop' : text.count === maxNewTokens ? 'length' : undefined;
      if (end) growing[row] = undefined;
      yield end ? { ...token, end } : token;
    }
  }

  for (;;) {
    const begun: number[] = [];
    const free = [...growing.keys()].filter((row) => !growing[row]);
    for (const row of free.slice(0, prompts.length - next)) {
      const ids = prompts[next]!;
      growing[row] = { prompt: next, past: ids.length, last: 0, count: 0, seen: new Set(ids), random: random(seed, 'generate', next) };
      begun.push(row);
      next += 1;
    }
    if (begun.length > 0) {
      const hidden = await readPrompts(decoder, {
        cache,
        rows: begun,
        prompts: begun.map((row) => prompts[growing[row]!.prompt]!),
        signal,
      });
      await decoder.score(hidden, scores.subarray(0, begun.length * config.vocabSize));
      yield* grow(begun);
      continue;
    }
    const active = [...growing.keys()].filter((row) => growing[row]);
    if (active.length === 0) return;
    signal?.throwIfAborted();
    // A row without a text does the least it can: one token after one.
    const hidden = await decoder.run({
      cache,
      rows: { from: 0, to: rows },
      ids: Int32Array.from(growing, (text) => text?.last ?? 0),
      past: growing.map((text) => text?.past ?? 1),
      fresh: growing.map(() => 1),
    });
    for (const row of active) growing[row]!.past += 1;
    const lasts = active.length === rows ? hidden : takeRows(hidden, active, hiddenSize);
    await decoder.score(lasts, scores.subarray(0, active.length * config.vocabSize));
    yield* grow(active);
  }
}

/** All tokens of each prompt's text, the prompts left out. */
export async function generateAll(
  decoder: Decoder,
  prompts: readonly (readonly number[])[],
  options: GenerationOptions = {},
): Promise<{ readonly ids: readonly number[]; readonly end: 'stop' | 'length' }[]> {
  const texts = prompts.map(() => ({ ids: [] as number[], end: 'length' as 'stop' | 'length' }));
  for await (const { prompt, id, end } of generate(decoder, prompts, options)) {
    texts[prompt]!.ids.push(id);
    if (end) texts[prompt]!.end = end;
  }
  return texts;
}

/** A text in its row. */
type Growing = {
  readonly prompt: number;
  readonly seen: Set<number>;
  readonly random: Random;
  /** Tokens in the cache: all but the last. */
  past: number;
  last: number;
  count: number;
};

type Prompts = {
  readonly cache: KeyValueCache;
  readonly rows: readonly number[];
  readonly prompts: readonly (readonly number[])[];
  readonly signal: AbortSignal | undefined;
};

/** Fills the cache with prompts; gives the last layer's output at the end of each, [prompts, hidden]. */
async function readPrompts(decoder: Decoder, { cache, rows, prompts, signal }: Prompts): Promise<Float32Array> {
  const width = decoder.model.config.hiddenSize;
  const tokens = Math.max(...prompts.map(({ length }) => length));
  // All rows of a cache at once, where they are short; a row that comes later goes alone.
  if (rows.length === cache.rows && rows.length > 1 && tokens <= tokensAtOnce && tokens * rows.length <= placesAtOnce) {
    const ids = Int32Array.from({ length: rows.length * tokens }, (_, at) => prompts[Math.floor(at / tokens)]![at % tokens] ?? 0);
    const fresh = prompts.map(({ length }) => length);
    signal?.throwIfAborted();
    const hidden = await decoder.run({ cache, rows: { from: 0, to: rows.length }, ids, past: rows.map(() => 0), fresh });
    const lasts = fresh.map((length, row) => row * tokens + length - 1);
    return takeRows(hidden, lasts, width);
  }
  const ends = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) {
    const prompt = prompts[i]!;
    for (let past = 0; past < prompt.length; past += tokensAtOnce) {
      const ids = Int32Array.from(prompt.slice(past, past + tokensAtOnce));
      signal?.throwIfAborted();
      const hidden = await decoder.run({ cache, rows: { from: row, to: row + 1 }, ids, past: [past], fresh: [ids.length] });
      ends.set(hidden.subarray((ids.length - 1) * width, ids.length * width), i * width);
    }
  }
  return ends;
}

const takeRows = (data: Float32Array, rows: readonly number[], width: number): Float32Array => {
  const taken = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) taken.set(data.subarray(row * width, (row + 1) * width), i * width);
  return taken;
};

/** The next token of a text, from its scores. */
function chooser({ temperature = 0, topK = 0, topP = 1, repetitionPenalty = 1 }: GenerationOptions) {
  return (scores: Float32Array, { seen, random: stream }: Growing): number => {
    if (repetitionPenalty !== 1) penalizeRepetition(scores, { seen, penalty: repetitionPenalty });
    return temperature === 0 ? largestAt(scores) : drawToken(candidates(scores, { temperature, topK, topP }), stream.float());
  };
}

function checkOptions({ temperature = 0, topK = 0, topP = 1, repetitionPenalty = 1, maxNewTokens = 0, rows = 1 }: GenerationOptions): void {
  const refuse = (name: string, value: number, wanted: string): never => {
    throw new UserError('generate.options', `generate: ${name} out of range: ${value}; must be ${wanted}`);
  };
  if (!(temperature >= 0 && Number.isFinite(temperature))) refuse('temperature', temperature, '0 (greedy) or more');
  if (!(Number.isInteger(topK) && topK >= 0)) refuse('top-k', topK, '0 (all) or a whole number above');
  if (!(topP > 0 && topP <= 1)) refuse('top-p', topP, 'above 0, up to 1 (all)');
  if (!(repetitionPenalty > 0 && Number.isFinite(repetitionPenalty))) refuse('repetition penalty', repetitionPenalty, 'above 0; 1 is none');
  if (!(Number.isInteger(maxNewTokens) && maxNewTokens >= 0)) refuse('new tokens', maxNewTokens, 'a whole number, 0 or more');
  if (!(Number.isInteger(rows) && rows >= 1)) refuse('rows', rows, 'a whole number, 1 or more');
}
