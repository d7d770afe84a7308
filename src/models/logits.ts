// What happens to the scores of the vocabulary before a token is drawn, in the order and with the arithmetic of transformers' logits
// processors: repetition penalty, temperature, top-k, top-p.
//
//   penalty p: the score s of a token seen before, prompt included, becomes s / p, or s * p where it is negative
//   top-k: scores below the k-th largest go; equal ones stay, so there may be more than k
//   top-p: the least likely go while their sum is at most 1 - p; the likeliest always stays
//
// Worked case: scores [2, 1, 0, -1], top-k 3, top-p 0.9: probabilities of the three are .665 .245 .090; .090 <= 0.1 goes, two are left.
// Sources: Keskar et al., "CTRL", 2019 (penalty); Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020 (top-p).

export type Sampling = {
  /** Divides the scores; 0: always the likeliest token. */
  readonly temperature: number;
  /** 0: all. */
  readonly topK: number;
  /** 1: all. */
  readonly topP: number;
};

/** Tokens that may be drawn, with their scores. */
export type Candidates = { readonly ids: Int32Array; readonly scores: Float32Array };

/** Changes the scores of tokens that the text has, in place. */
export function penalizeRepetition(
  scores: Float32Array,
  { seen, penalty }: { readonly seen: Iterable<number>; readonly penalty: number },
): void {
  for (const id of seen) scores[id] = scores[id]! < 0 ? scores[id]! * penalty : scores[id]! / penalty;
}

/** Applies temperature (in place), top-k and top-p. Nothing of the vocabulary's size is copied or sorted. */
export function candidates(scores: Float32Array, { temperature, topK, topP }: Sampling): Candidates {
  if (temperature !== 1) for (let i = 0; i < scores.length; i++) scores[i]! /= temperature;
  const least = topK > 0 && topK < scores.length ? kthLargest(scores, topK) : Number.NEGATIVE_INFINITY;
  return topP < 1 ? nucleus(scores, { least, topP }) : atLeast(scores, least);
}

/** Place of the largest score, the first of equals. */
export function largestAt(scores: Float32Array): number {
  let found = 0;
  for (let i = 1; i < scores.length; i++) if (scores[i]! > scores[found]!) found = i;
  return found;
}

/** A token drawn by its share of exp(score). @param draw uniform in [0, 1) */
export function drawToken({ ids, scores }: Candidates, draw: number): number {
  const largest = scores[largestAt(scores)]!;
  let sum = 0;
  for (const score of scores) sum += Math.exp(score - largest);
  let left = draw * sum;
  for (const [i, score] of scores.entries()) {
    left -= Math.exp(score - largest);
    if (left < 0) return ids[i]!;
  }
  return ids[largestAt(scores)]!;
}

function atLeast(scores: Float32Array, least: number): Candidates {
  let count = 0;
  for (const score of scores) if (score >= least) count++;
  const ids = new Int32Array(count);
  let at = 0;
  for (let i = 0; i < scores.length; i++) if (scores[i]! >= least) ids[at++] = i;
  return { ids, scores: Float32Array.from(ids, (id) => scores[id]!) };
}

function nucleus(scores: Float32Array, { least, topP }: { readonly least: number; readonly topP: number }): Candidates {
  const largest = scores[largestAt(scores)]!;
  let sum = 0;
  let count = 0;
  for (const score of scores) {
    if (score < least) continue;
    sum += Math.exp(score - largest);
    count++;
  }
  // However many have no more than this share each, together they have no more than 1 - p, and all go: only the others are sorted.
  const share = (1 - topP) / count;
  const floor = Math.max(least, largest + Math.log(share * sum));
  const { ids } = atLeast(scores, floor);
  const rising = ids.sort((a, b) => scores[a]! - scores[b]! || a - b);
  const shareOf = (id: number): number => Math.exp(scores[id]! - largest) / sum;
  let below = 1;
  for (const id of rising) below -= shareOf(id);
  let from = 0;
  for (; from < rising.length - 1; from++) {
    below += shareOf(rising[from]!);
    if (below > 1 - topP) break;
  }
  const kept = rising.slice(from).sort();
  return { ids: kept, scores: Float32Array.from(kept, (id) => scores[id]!) };
}

/** A heap of the k largest so far, the least of them on top. */
function kthLargest(scores: Float32Array, k: number): number {
  const heap = new Float32Array(k).fill(Number.NEGATIVE_INFINITY);
  for (const score of scores) {
    if (score <= heap[0]!) continue;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= k) break;
      const child = left + 1 < k && heap[left + 1]! < heap[left]! ? left + 1 : left;
      if (heap[child]! >= score) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = score;
  }
  return heap[0]!;
}
