// Which pairs are looked at: records that agree on every expression of a rule, each pair once.
//
// Idea: a rule's expressions, encoded, give each record a group number (-1 when any is missing: missing agrees with nothing). A counting sort lines
// records up by group, in ascending order, so a block's pairs are a double loop and left < right holds by itself. A pair belongs to the first rule
// that produces it: a later rule asks by group numbers, side by side in one row per record, whether an earlier one agrees too. No pair table, no hash, no distinct.
//
//   pairs of a rule = sum over its groups n(n-1)/2, less those inside one source for link_only: exact, before anything is run
//
// Worked case: rule city over Bonn Bonn Rome null Bonn: groups 0 0 1 -1 0; order [0 1 4 2], starts [0 3 4]; 3 pairs.
// Cost: O(records) per rule; big groups are cut by left member, so work is shared evenly over threads.

import { UserError } from '../base/errors.ts';
import { thousands } from '../base/text.ts';
import { type Codes, type Encoder, shared } from './encode.ts';
import type { RuleSource } from './pair-source.ts';
import { type BlockingRule, ruleName } from './settings.ts';
import { oneLine } from './sql-text.ts';

/** One rule made ready: records lined up by group. */
export type Blocks = Extract<RuleSource, { readonly kind: 'groups' }> & { readonly name: string };

/** How many pairs a rule produces by itself (before its `where`), how many blocks of two or more records it has, and its largest blocks. */
export type RuleCount = {
  readonly rule: string;
  readonly pairs: number;
  /** 0 for a rule whose pairs the database lists. */
  readonly blocks: number;
  /** Largest first; `value` is what their records share. */
  readonly largest: readonly { readonly records: number; readonly pairs: number; readonly value: string }[];
};

/** The same before the values are looked up: `record` is one of the block's. */
export type BlockCount = Omit<RuleCount, 'largest'> & {
  readonly largest: readonly { readonly records: number; readonly pairs: number; readonly record: number }[];
};

/** What a rule's groups are made of: codes for each of its expressions. Arrays are shared with workers. */
export type RuleCodes = {
  readonly name: string;
  readonly columns: readonly { readonly codes: Int32Array; readonly valueCount: number }[];
};

/** Encodes a rule's expressions. */
export async function ruleCodes(encoder: Encoder, rule: BlockingRule): Promise<RuleCodes> {
  const columns: Codes[] = [];
  for (const expression of rule.on) columns.push(await encoder.codes(expression));
  return { name: ruleName(rule), columns: columns.map(({ codes, valueCount }) => ({ codes, valueCount })) };
}

/** Lines up the records that agree on all columns. */
export function buildBlocks({ name, columns: [first, ...others] }: RuleCodes): Blocks {
  const { codes, valueCount } = first!;
  let numbered = others.length === 0 ? byFirstRecord(codes, valueCount) : { groups: codes, count: valueCount };
  for (const other of others) numbered = combine(numbered.groups, other.codes);
  return { kind: 'groups', name, groups: numbered.groups, ...lineUp(numbered.groups, numbered.count) };
}

/** Groups numbered in order of their first record: walking them reads the left records one after another, not here and there. */
function byFirstRecord(groups: Int32Array, count: number): { readonly groups: Int32Array; readonly count: number } {
  const numbers = new Int32Array(count).fill(-1);
  const numbered = shared(groups.length);
  let next = 0;
  for (let record = 0; record < groups.length; record++) {
    const group = groups[record]!;
    if (group >= 0 && numbers[group]! < 0) numbers[group] = next++;
    numbered[record] = group < 0 ? -1 : numbers[group]!;
  }
  return { groups: numbered, count: next };
}

/** All records in one group: every pair. */
export function wholeBlock(recordCount: number): Blocks {
  const groups = shared(recordCount);
  return { kind: 'groups', name: 'all pairs', groups, ...lineUp(groups, 1) };
}

/**
 * Numbers the pairs (group, code) that occur, in order of their first record: open addressing, a slot holds the first record of a pair. Reads records one
 * after another, where a sort would read them here and there.
 */
function combine(groups: Int32Array, codes: Int32Array): { readonly groups: Int32Array; readonly count: number } {
  const joint = shared(groups.length);
  const size = 2 ** Math.ceil(Math.log2(1.5 * groups.length + 1));
  const firsts = new Int32Array(size).fill(-1);
  let next = 0;
  for (let record = 0; record < groups.length; record++) {
    const group = groups[record]!;
    const code = codes[record]!;
    if (group < 0 || code < 0) {
      joint[record] = -1;
      continue;
    }
    let slot = mixed(group, code) & (size - 1);
    let first = firsts[slot]!;
    while (first >= 0 && (groups[first] !== group || codes[first] !== code)) {
      slot = (slot + 1) & (size - 1);
      first = firsts[slot]!;
    }
    if (first < 0) firsts[slot] = record;
    joint[record] = first < 0 ? next++ : joint[first]!;
  }
  return { groups: joint, count: next };
}

/** Two numbers spread over 32 bits. */
function mixed(a: number, b: number): number {
  const bits = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca77);
  const more = Math.imul(bits ^ (bits >>> 15), 0x2c1b3c6d);
  return more ^ (more >>> 13);
}

/** Counting sort by group; records without a group are left out. */
function lineUp(groups: Int32Array, count: number): { readonly order: Int32Array; readonly starts: Int32Array } {
  const starts = shared(count + 1);
  // By number: loops over values of an array take longer.
  for (let record = 0; record < groups.length; record++) {
    const group = groups[record]!;
    if (group >= 0) starts[group + 1]! += 1;
  }
  for (let group = 0; group < count; group++) starts[group + 1]! += starts[group]!;
  const order = shared(starts[count]!);
  const next = starts.slice();
  for (let record = 0; record < groups.length; record++) {
    const group = groups[record]!;
    if (group >= 0) order[next[group]!++] = record;
  }
  return { order, starts };
}

/** Counts a rule's pairs exactly. `source` (a code per record) is given when pairs within one source do not count. */
export function countBlocks({ name, order, starts }: Blocks, source?: Int32Array): BlockCount {
  let pairs = 0;
  let blocks = 0;
  const largest: { records: number; pairs: number; record: number }[] = [];
  for (let group = 0; group + 1 < starts.length; group++) {
    const records = starts[group + 1]! - starts[group]!;
    if (records < 2) continue;
    blocks += 1;
    const all = (records * (records - 1)) / 2 - (source ? withinSource(order, starts[group]!, starts[group + 1]!, source) : 0);
    pairs += all;
    if (largest.length < 5 || records > largest.at(-1)!.records) {
      largest.push({ records, pairs: all, record: order[starts[group]!]! });
      largest.sort((a, b) => b.records - a.records);
      largest.length = Math.min(5, largest.length);
    }
  }
  return { rule: name, pairs, blocks, largest };
}

/** All pairs of so many records, less those within one source where such are none. */
export function countAllPairs(recordCount: number, source?: Int32Array): number {
  return (recordCount * (recordCount - 1)) / 2 - (source ? withinSource(undefined, 0, recordCount, source) : 0);
}

/** Pairs within one source among the records order[from .. until), or from .. until themselves. */
function withinSource(order: Int32Array | undefined, from: number, until: number, source: Int32Array): number {
  const counts = new Map<number, number>();
  for (let at = from; at < until; at++) {
    const one = source[order ? order[at]! : at]!;
    counts.set(one, (counts.get(one) ?? 0) + 1);
  }
  let pairs = 0;
  for (const count of counts.values()) pairs += (count * (count - 1)) / 2;
  return pairs;
}

/** Adds what the records of the largest blocks share. */
export async function nameBlocks(encoder: Encoder, { on }: BlockingRule, count: BlockCount): Promise<RuleCount> {
  if (count.largest.length === 0 || on.length === 0) return { ...count, largest: [] };
  const rows = await encoder.db.rows<{ row: number; value: string }>(`
    select __row as row, concat_ws(' + ', ${on.map((expression) => `cast(${expression} as varchar)`).join(', ')}) as value
    from ${encoder.table} where __row in (${count.largest.map(({ record }) => record).join(', ')})`);
  const values = new Map(rows.map(({ row, value }) => [row, value]));
  return { ...count, largest: count.largest.map(({ record, ...block }) => ({ ...block, value: values.get(record)! })) };
}

/** @throws UserError `linkage.block` when one block alone holds more than `maxBlockPairs`, naming the value that its records share */
export async function guardBlocks(encoder: Encoder, rule: BlockingRule, count: BlockCount, maxBlockPairs: number): Promise<void> {
  if ((count.largest[0]?.pairs ?? 0) <= maxBlockPairs) return;
  const [first] = (await nameBlocks(encoder, rule, count)).largest;
  throw new UserError(
    'linkage.block',
    `linkage: blocking rule explodes: ${count.rule}: ${first ? `"${oneLine(first.value)}" is shared by` : 'all pairs of'} ` +
      `${thousands(count.largest[0]!.records)} records, ${thousands(count.largest[0]!.pairs)} pairs; ` +
      `add a column to the rule, clear the value, or raise maxBlockPairs (--max-block-pairs) from ${thousands(maxBlockPairs)}`,
  );
}
