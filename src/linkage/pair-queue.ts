// A binary max-heap of scored pairs: highest score first, ties by lower a, then lower b. Entries are never changed in place; the
// reader drops those that no longer hold (lazy deletion). push and pop O(log n), without an object per entry.
// Worked case: push (2, 0, 1), (3, 4, 5), (3, 2, 9): pops (3, 2, 9), (3, 4, 5), (2, 0, 1).

export type ScoredPair = { readonly score: number; readonly a: number; readonly b: number };

export type PairQueue = {
  readonly push: (score: number, a: number, b: number) => void;
  /** The best pair left, taken out; nothing when empty. */
  readonly pop: () => ScoredPair | undefined;
};

/** An empty queue; `capacity` is only where its arrays begin. */
export function createPairQueue(capacity = 16): PairQueue {
  let scores = new Float64Array(Math.max(4, capacity));
  let lefts = new Int32Array(scores.length);
  let rights = new Int32Array(scores.length);
  let size = 0;

  const before = (i: number, j: number) =>
    scores[i]! !== scores[j]! ? scores[i]! > scores[j]! : lefts[i]! !== lefts[j]! ? lefts[i]! < lefts[j]! : rights[i]! < rights[j]!;
  const swap = (i: number, j: number) => {
    [scores[i], scores[j]] = [scores[j]!, scores[i]!];
    [lefts[i], lefts[j]] = [lefts[j]!, lefts[i]!];
    [rights[i], rights[j]] = [rights[j]!, rights[i]!];
  };
  const grow = () => {
    const [oldScores, oldLefts, oldRights] = [scores, lefts, rights];
    scores = new Float64Array(2 * size);
    lefts = new Int32Array(2 * size);
    rights = new Int32Array(2 * size);
    scores.set(oldScores);
    lefts.set(oldLefts);
    rights.set(oldRights);
  };

  return {
    push: (score, a, b) => {
      if (size === scores.length) grow();
      scores[size] = score;
      lefts[size] = a;
      rights[size] = b;
      for (let at = size++; at > 0; ) {
        const up = (at - 1) >> 1;
        if (!before(at, up)) break;
        swap(at, up);
        at = up;
      }
    },
    pop: () => {
      if (size === 0) return undefined;
      const top = { score: scores[0]!, a: lefts[0]!, b: rights[0]! };
      swap(0, --size);
      for (let at = 0; ; ) {
        let best = at;
        for (const child of [2 * at + 1, 2 * at + 2]) if (child < size && before(child, best)) best = child;
        if (best === at) break;
        swap(at, best);
        at = best;
      }
      return top;
    },
  };
}
