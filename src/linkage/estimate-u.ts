// u: how often two records that do not belong together are on each level.
//
// Idea: nearly all pairs are no matches, so u is the share of random pairs on a level. Equality needs no sample: a value held by c records
// is shared by c(c-1)/2 pairs. The other levels are sampled, seeded, among random pairs that are not on the exact level, and share what
// equality leaves.
//
//   u(exact) = sum over values c(c-1)/2 / (n(n-1)/2), n records that hold any value; pairs within one source left out where they never count
//
// Worked case: cities Rome Rome Bonn, all pairs: 1 of 3 equal, u(exact) = 1/3; the sample's other pairs are all on else: u(else) = 2/3.
// Small data (all pairs within the sample size) is not sampled but counted.
// Cost: O(records) per exact level, O(sample) for the rest. Source: Fellegi and Sunter 1969, section 3.3.1; sampling as Splink does.

import { random } from '../base/random.ts';
import type { KernelData } from './kernel.ts';
import { createPairSource, listSource } from './pair-source.ts';
import type { Pool } from './workers.ts';

export type SampleOptions = { readonly recordCount: number; readonly samplePairs: number; readonly seed: number };

/** u of each comparison's levels: NaN for the null level and for comparisons that the kernel does not decide. */
export async function estimateU(data: KernelData, pool: Pool, options: SampleOptions): Promise<number[][]> {
  const counts = await countSample(data, pool, options);
  return data.comparisons.map(({ levels, nullLevel, quickColumn, exactLevel }, c) => {
    const sampled = counts[c]!;
    const present = (level: number) => level !== nullLevel;
    const exact = quickColumn < 0 ? undefined : shareEqual(data.codes[quickColumn]!, data.source);
    const open = (level: number) => present(level) && (exact === undefined || level !== exactLevel);
    // Half a pair for a level that the sample never met: rare is not impossible.
    const rest = levels.reduce((sum, _, level) => (open(level) ? sum + Math.max(0.5, sampled[level]!) : sum), 0);
    return levels.map((_, level) => {
      if (!present(level)) return Number.NaN;
      if (exact !== undefined && level === exactLevel) return exact;
      return ((1 - (exact ?? 0)) * Math.max(0.5, sampled[level]!)) / rest;
    });
  });
}

/** Share of pairs with equal values among the pairs that both hold one; half a pair when there is none. */
function shareEqual(codes: Int32Array, source: Int32Array | undefined): number {
  const overall = pairsOf(codes, undefined);
  const within = source ? pairsOf(codes, source) : { equal: 0, all: 0 };
  const all = Math.max(1, overall.all - within.all);
  return Math.max(0.5, overall.equal - within.equal) / all;
}

/** Pairs that both hold a value, and those that hold the same: overall, or summed over what lies within one source. */
function pairsOf(codes: Int32Array, source: Int32Array | undefined): { readonly equal: number; readonly all: number } {
  const valueCount = countValues(codes);
  const sourceCount = source ? Math.max(1, countValues(source)) : 1;
  const bySource = new Float64Array(sourceCount);
  const byValue = new Int32Array(valueCount * sourceCount);
  for (let record = 0; record < codes.length; record++) {
    const code = codes[record]!;
    if (code < 0) continue;
    const origin = source ? source[record]! : 0;
    byValue[code * sourceCount + origin]! += 1;
    bySource[origin]! += 1;
  }
  // By number: loops over values of an array, and functions over them, take longer.
  const pairs = (counts: Int32Array | Float64Array) => {
    let sum = 0;
    for (let i = 0; i < counts.length; i++) sum += (counts[i]! * (counts[i]! - 1)) / 2;
    return sum;
  };
  return { equal: pairs(byValue), all: pairs(bySource) };
}

function countValues(codes: Int32Array): number {
  let most = -1;
  for (let record = 0; record < codes.length; record++) most = Math.max(most, codes[record]!);
  return most + 1;
}

/** Pairs of the sample on each level, by comparison. */
async function countSample(data: KernelData, pool: Pool, options: SampleOptions): Promise<Float64Array[]> {
  const { left, right } = samplePairs({ ...options, ...(data.source ? { source: data.source } : {}) });
  const source = createPairSource([listSource(options.recordCount, left, right)]);
  const { patterns, counts } = await pool.run({ data, source, job: { kind: 'tally' }, pairs: left.length });
  const found = data.comparisons.map(({ levels }) => new Float64Array(levels.length));
  const places = data.comparisons.flatMap(({ levels }, c) => levels.map((_, level) => [c, level] as const));
  patterns.forEach((place, i) => {
    const [c, level] = places[place]!;
    found[c]![level] = counts[i]!;
  });
  return found;
}

/** Random pairs that may match (all of them when they are no more than asked for), left < right. */
export function samplePairs({ recordCount, samplePairs: wanted, seed, source }: SampleOptions & { readonly source?: Int32Array }) {
  const all = (recordCount * (recordCount - 1)) / 2;
  const size = Math.min(all, wanted);
  const left = new Int32Array(size);
  const right = new Int32Array(size);
  let kept = 0;
  const offer = (a: number, b: number) => {
    if (source && source[a] === source[b]) return;
    left[kept] = a;
    right[kept++] = b;
  };
  if (all <= wanted) {
    for (let a = 0; a < recordCount; a++) for (let b = a + 1; b < recordCount; b++) offer(a, b);
  } else {
    const { integer } = random(seed, 'u sample');
    for (let drawn = 0; drawn < wanted; drawn++) {
      const a = integer(0, recordCount - 1);
      const b = integer(0, recordCount - 2);
      const other = b >= a ? b + 1 : b;
      offer(Math.min(a, other), Math.max(a, other));
    }
  }
  return { left: left.subarray(0, kept), right: right.subarray(0, kept) };
}
