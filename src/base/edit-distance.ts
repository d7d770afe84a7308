// Edit distance and Jaro-Winkler similarity on bytes, for texts that are compared millions of times.
//
// Edit distance (optimal string alignment, OSA): fewest insertions, deletions, substitutions and swaps of two neighbours, no
// part edited twice. "smith" -> "simth" is 1, "smith" -> "smyht" is 2. Texts of at most 32 bytes go through a bit-parallel
// form: one column of the dynamic-programming table is held in 32-bit words, one bit per row saying whether the value rises
// (or falls) there, and each character of the other text costs some fifteen word operations. O(n) instead of O(n m).
// Longer texts take the table itself, two rows at a time.
// Source: Hyyro, "A bit-vector algorithm for computing Levenshtein and Damerau edit distances", 2003.
//
// Jaro: (m/|a| + m/|b| + (m - t)/m) / 3, m common letters within half the longer length of each other, t half the
// number of common letters out of order; Winkler adds p/10 (1 - Jaro) for p <= 4 equal first letters.

const masks = new Int32Array(256);
let rows = [new Int32Array(0), new Int32Array(0), new Int32Array(0)] as [Int32Array, Int32Array, Int32Array];

/**
 * Edit distance with swaps of neighbours (OSA) between two byte strings.
 *
 * @example editDistance(Buffer.from('smith'), Buffer.from('simth')) // 1
 */
export function editDistance(a: Uint8Array, b: Uint8Array): number {
  if (a.length === 0) return b.length;
  if (b.length === 0) return a.length;
  const [short, long] = a.length <= b.length ? [a, b] : [b, a];
  return short.length <= 32 ? bitParallelDistance(short, long) : tableDistance(short, long);
}

function bitParallelDistance(pattern: Uint8Array, text: Uint8Array): number {
  const m = pattern.length;
  for (let i = 0; i < m; i++) masks[pattern[i]!]! |= 1 << i;
  const last = 1 << (m - 1);
  let rises = -1;
  let falls = 0;
  let diagonal = 0;
  let previousMask = 0;
  let distance = m;
  for (let j = 0; j < text.length; j++) {
    const mask = masks[text[j]!]!;
    // A swap ends here where this letter matches the row above and the letter before matches this row.
    const swap = ((~diagonal & mask) << 1) & previousMask;
    diagonal = (((mask & rises) + rises) ^ rises) | mask | falls | swap | 0;
    let across = falls | ~(diagonal | rises);
    let acrossDown = rises & diagonal;
    if (across & last) distance++;
    if (acrossDown & last) distance--;
    across = (across << 1) | 1;
    acrossDown <<= 1;
    rises = acrossDown | ~(diagonal | across);
    falls = across & diagonal;
    previousMask = mask;
  }
  for (let i = 0; i < m; i++) masks[pattern[i]!] = 0;
  return distance;
}

function tableDistance(a: Uint8Array, b: Uint8Array): number {
  if (rows[0].length <= b.length) rows = [0, 1, 2].map(() => new Int32Array(2 * b.length + 1)) as typeof rows;
  let [before, above, row] = rows;
  for (let j = 0; j <= b.length; j++) above[j] = j;
  for (let i = 1; i <= a.length; i++) {
    row[0] = i;
    const letter = a[i - 1]!;
    for (let j = 1; j <= b.length; j++) {
      const other = b[j - 1]!;
      let cost = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + (letter === other ? 0 : 1));
      if (i > 1 && j > 1 && letter === b[j - 2] && a[i - 2] === other) cost = Math.min(cost, before[j - 2]! + 1);
      row[j] = cost;
    }
    [before, above, row] = [above, row, before];
  }
  return above[b.length]!;
}

const usedA = new Uint8Array(256);
const usedB = new Uint8Array(256);

/**
 * Jaro-Winkler similarity of two byte strings, 0 to 1; two empty ones are 1. Only the first 256 bytes are looked at.
 *
 * @example jaroWinkler(Buffer.from('martha'), Buffer.from('marhta')) // 0.961
 */
export function jaroWinkler(a: Uint8Array, b: Uint8Array): number {
  const la = Math.min(a.length, 256);
  const lb = Math.min(b.length, 256);
  if (la === 0 || lb === 0) return la === lb ? 1 : 0;
  const window = Math.max(0, Math.floor(Math.max(la, lb) / 2) - 1);
  usedA.fill(0, 0, la);
  usedB.fill(0, 0, lb);
  let common = 0;
  for (let i = 0; i < la; i++) {
    const letter = a[i]!;
    for (let j = Math.max(0, i - window); j < Math.min(lb, i + window + 1); j++) {
      if (usedB[j] === 0 && b[j] === letter) {
        usedA[i] = usedB[j] = 1;
        common++;
        break;
      }
    }
  }
  if (common === 0) return 0;
  let outOfOrder = 0;
  for (let i = 0, j = 0; i < la; i++) {
    if (usedA[i] === 0) continue;
    while (usedB[j] === 0) j++;
    if (a[i] !== b[j]) outOfOrder++;
    j++;
  }
  const jaro = (common / la + common / lb + (common - outOfOrder / 2) / common) / 3;
  let prefix = 0;
  while (prefix < Math.min(4, la, lb) && a[prefix] === b[prefix]) prefix++;
  return jaro + (prefix / 10) * (1 - jaro);
}
