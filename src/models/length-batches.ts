// Texts of like length together: a batch costs its longest text times its rows, and padding is work for nothing.

import type { TokenBatch } from './batch.ts';

/** Some of the texts, padded on the right to one length, and which they are. */
export type LengthBatch = TokenBatch & { readonly places: readonly number[] };

/**
 * Batches of texts sorted by length, longest first, so that what does not fit in memory fails at once.
 *
 * @param tokensAtOnce most tokens of a batch, padding counted; a longer text is a batch of its own
 * @param textsAtOnce most texts of a batch
 */
export function* lengthBatches(
  texts: readonly (readonly number[])[],
  tokensAtOnce: number,
  textsAtOnce = Number.POSITIVE_INFINITY,
): Generator<LengthBatch> {
  const order = [...texts.keys()].sort((a, b) => texts[b]!.length - texts[a]!.length || a - b);
  for (let from = 0; from < order.length; ) {
    const tokens = texts[order[from]!]!.length;
    const places = order.slice(from, from + Math.min(textsAtOnce, Math.max(1, Math.floor(tokensAtOnce / tokens))));
    from += places.length;
    const ids = new Int32Array(places.length * tokens);
    for (const [row, place] of places.entries()) ids.set(texts[place]!, row * tokens);
    yield { rows: places.length, tokens, ids, lengths: Int32Array.from(places, (place) => texts[place]!.length), places };
  }
}
