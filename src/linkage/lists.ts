// Lists compared as sets of codes.
//
// Idea: the values of all lists of a column get codes once; a record holds its list as a sorted run of different codes, one run after the
// other in one array, and a word with a bit for each code modulo 32. Two lists without a common bit share nothing: one array read each.
// Else the runs are merged. Nulls inside a list are no values, but count in its length, as in DuckDB.
//
//   shared = number of codes in both runs          part of: shared = min(length, length)
//
// Worked case: [a, b, b, null] and [c, b] with codes a 0, b 1, c 2: runs 0 1 and 1 2, bits 011 and 110 meet, shared 1, shorter length 2.
// Cost: two reads where no bit is common, else one step per code of both runs.

/** Lists of one column. Record r has the codes `items[starts[r] .. starts[r + 1])`, rising; `lengths[r]` values, -1 for a missing list. */
export type Lists = {
  readonly items: Int32Array;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
  readonly bits: Int32Array;
};

/** How many different values are in both lists. */
export function sharedCount(a: Lists, left: number, b: Lists, right: number): number {
  if ((a.bits[left]! & b.bits[right]!) === 0) return 0;
  const x = a.items;
  const y = b.items;
  const leftEnd = a.starts[left + 1]!;
  const rightEnd = b.starts[right + 1]!;
  let i = a.starts[left]!;
  let j = b.starts[right]!;
  let shared = 0;
  while (i < leftEnd && j < rightEnd) {
    const gap = x[i]! - y[j]!;
    if (gap === 0) shared += 1;
    if (gap <= 0) i += 1;
    if (gap >= 0) j += 1;
  }
  return shared;
}

/** True when `reaches` says so of some value of one list and some value of the other; undefined when there are no two values to ask about. */
export function someReach(
  a: Lists,
  left: number,
  b: Lists,
  right: number,
  reaches: (x: number, y: number) => boolean,
): boolean | undefined {
  const leftFrom = a.starts[left]!;
  const leftEnd = a.starts[left + 1]!;
  const rightFrom = b.starts[right]!;
  const rightEnd = b.starts[right + 1]!;
  if (leftFrom === leftEnd || rightFrom === rightEnd) return undefined;
  for (let i = leftFrom; i < leftEnd; i++) {
    const x = a.items[i]!;
    for (let j = rightFrom; j < rightEnd; j++) if (reaches(x, b.items[j]!)) return true;
  }
  return false;
}
