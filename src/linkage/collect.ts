/** What one thread found, or all of them joined. */
export type KernelResult = {
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly weight: Float64Array;
  /** Rule that produced each pair. */
  readonly rule: Uint8Array;
  /** Level of each pair, by comparison; 255 where undecided. */
  readonly levels: readonly Uint8Array[];
  /** For `count` and `tally`: pattern keys and how many pairs have them. A key of `count` has the active comparisons' levels as digits. */
  readonly patterns: Float64Array;
  readonly counts: Float64Array;
  /** Pairs that rarity shifts are counted apart: pattern key and shift in bits of each. */
  readonly shiftedPattern: Float64Array;
  readonly shift: Float64Array;
};

export type Collector = ReturnType<typeof collector>;

/** Patterns are counted in an array while it stays below 32 MB. */
const mostDensePatterns = 4e6;

/** Growing lists of what was found. */
export function collector(comparisonCount: number, patternCount: number) {
  let room = 1024;
  let size = 0;
  let left = new Int32Array(room);
  let right = new Int32Array(room);
  let weight = new Float64Array(room);
  let rules = new Uint8Array(room);
  let levels = Array.from({ length: comparisonCount }, () => new Uint8Array(room));
  const dense = patternCount <= mostDensePatterns ? new Float64Array(patternCount) : undefined;
  const sparse = new Map<number, number>();
  let shifts = 0;
  let shiftedPattern = new Float64Array(room);
  let shift = new Float64Array(room);
  const grow = <T extends Int32Array | Float64Array | Uint8Array>(array: T, length: number): T => {
    const wider = new (array.constructor as new (length: number) => T)(length);
    wider.set(array as never);
    return wider;
  };
  return {
    /** Keeps a batch's pairs. */
    keep: (l: Int32Array, r: Int32Array, count: number, rule: number, w: Float64Array, batchLevels: readonly Uint8Array[]) => {
      if (size + count > room) {
        while (size + count > room) room *= 2;
        [left, right, weight, rules] = [grow(left, room), grow(right, room), grow(weight, room), grow(rules, room)];
        levels = levels.map((list) => grow(list, room));
      }
      left.set(l.subarray(0, count), size);
      right.set(r.subarray(0, count), size);
      weight.set(w.subarray(0, count), size);
      rules.fill(rule, size, size + count);
      for (let c = 0; c < comparisonCount; c++) levels[c]!.set(batchLevels[c]!.subarray(0, count), size);
      size += count;
    },
    count: (pattern: number, pairs: number) => {
      if (dense) dense[pattern]! += pairs;
      else sparse.set(pattern, (sparse.get(pattern) ?? 0) + pairs);
    },
    /** Counts a batch's pairs by pattern, but lists those that rarity shifts, with their bits. */
    countPatterns: (patterns: Float64Array, isShifted: Uint8Array, bits: Float64Array, count: number) => {
      if (shifts + count > shift.length) {
        const wider = 2 * (shifts + count);
        [shiftedPattern, shift] = [grow(shiftedPattern, wider), grow(shift, wider)];
      }
      for (let k = 0; k < count; k++) {
        const pattern = patterns[k]!;
        if (isShifted[k] === 1) {
          shiftedPattern[shifts] = pattern;
          shift[shifts++] = bits[k]!;
        } else if (dense) dense[pattern]! += 1;
        else sparse.set(pattern, (sparse.get(pattern) ?? 0) + 1);
      }
    },
    result: (): KernelResult => {
      dense?.forEach((count, pattern) => {
        if (count > 0) sparse.set(pattern, count);
      });
      const patterns = [...sparse.keys()].sort((a, b) => a - b);
      return {
        left: left.slice(0, size),
        right: right.slice(0, size),
        weight: weight.slice(0, size),
        rule: rules.slice(0, size),
        levels: levels.map((list) => list.slice(0, size)),
        patterns: Float64Array.from(patterns),
        counts: Float64Array.from(patterns, (pattern) => sparse.get(pattern)!),
        shiftedPattern: shiftedPattern.slice(0, shifts),
        shift: shift.slice(0, shifts),
      };
    },
  };
}
