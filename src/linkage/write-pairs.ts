// Scored pairs as a Parquet file, with the columns and names that Splink gives them.

import { quote } from '../sql/duckdb.ts';
import { distinctNumbers, distinctTexts, type ParquetColumn } from '../sql/parquet-columns.ts';
import type { Candidates } from './candidates.ts';
import { type Encoder, sharedLike } from './encode.ts';
import { type RecordColumn, readRecordTable, type WriteTable } from './record-table.ts';
import { type Comparison, comparisonColumns, gammasOf, type LinkageSettings } from './settings.ts';
import { termFrequencies } from './term-frequency.ts';
import { parameterOf, rarityOf } from './weights.ts';

export type WriteOptions = {
  /** Names of the two id columns; `<id>_l` and `<id>_r` by default. */
  readonly idNames?: readonly [string, string];
  /** More columns, one number per pair. */
  readonly extra?: Readonly<Record<string, Float64Array>>;
  /** Threads that lay out columns; 1 by default. */
  readonly threads?: number | undefined;
};

/**
 * Reads what pairs are written from, sorted as given: weights, ids, then per comparison both values, gamma, frequencies and Bayes factors, then what is
 * retained.
 */
export async function readPairs(
  encoder: Encoder,
  settings: LinkageSettings,
  candidates: Candidates,
  options: WriteOptions = {},
): Promise<WriteTable> {
  const columns = await planColumns(encoder, settings, candidates, options);
  return readRecordTable(encoder, { columns, rowCount: candidates.count, threads: options.threads });
}

/** The columns in the order of the file. */
async function planColumns(
  encoder: Encoder,
  settings: LinkageSettings,
  candidates: Candidates,
  { idNames, extra = {} }: WriteOptions,
): Promise<readonly (ParquetColumn | RecordColumn)[]> {
  const { uniqueId, retainMatching = true, retainIntermediate = true } = settings;
  const [idLeft, idRight] = idNames ?? [`${uniqueId}_l`, `${uniqueId}_r`];
  const { left, right, matchWeight } = candidates;
  const id = { kind: 'record', of: quote(uniqueId), isName: true } as const;
  const columns: (ParquetColumn | RecordColumn)[] = [
    { kind: 'doubles', name: 'match_weight', numbers: matchWeight },
    { kind: 'doubles', name: 'match_probability', numbers: probabilities(matchWeight) },
    ...(settings.linkType === 'dedupe_only' || idNames ? [] : sides(candidates, settings.source!)),
    { ...id, name: idLeft, records: left },
    { ...id, name: idRight, records: right },
  ];
  const written = new Set([uniqueId]);
  const bothSides = (name: string) => {
    if (!written.has(name)) columns.push(...sides(candidates, name));
    written.add(name);
  };
  for (const [c, comparison] of settings.comparisons.entries()) {
    // Counted from 0, as codes are.
    const codes = raised(candidates.gammas[c]!);
    const levels = gammasOf(comparison);
    const gammas = Int32Array.from({ length: Math.max(...levels) + 2 }, (_, code) => code - 1);
    if (retainMatching) comparisonColumns(comparison).forEach(bothSides);
    if (retainMatching)
      columns.push({ kind: 'coded', name: `gamma_${comparison.name}`, type: 'INTEGER', values: distinctNumbers(gammas), codes });
    if (!retainIntermediate) continue;
    columns.push(...(await frequencyColumns(encoder, comparison, candidates)));
    const factors = Float64Array.from(gammas, (gamma) => bayesFactor(comparison, levels.indexOf(gamma)));
    columns.push({ kind: 'coded', name: `bf_${comparison.name}`, type: 'DOUBLE', values: distinctNumbers(factors), codes });
    columns.push(...(await rarityColumn(encoder, comparison, candidates, c)));
  }
  for (const name of settings.retain ?? []) bothSides(name);
  const keys = settings.blockingRules.map((_, rule) => String(rule));
  columns.push({ kind: 'coded', name: 'match_key', type: 'VARCHAR', values: distinctTexts(keys), codes: candidates.matchKey });
  for (const [name, numbers] of Object.entries(extra)) columns.push({ kind: 'doubles', name, numbers });
  return columns;
}

// Threads that lay out columns read these without a copy.

function probabilities(weights: Float64Array): Float64Array {
  const found = sharedLike(weights, weights.length);
  for (let p = 0; p < found.length; p++) found[p] = 1 / (1 + 2 ** -weights[p]!);
  return found;
}

function raised(gammas: Int8Array): Int8Array {
  const codes = sharedLike(gammas, gammas.length);
  for (let p = 0; p < codes.length; p++) codes[p] = gammas[p]! + 1;
  return codes;
}

function sides({ left, right }: Candidates, name: string): RecordColumn[] {
  const of = quote(name);
  return [
    { kind: 'record', name: `${name}_l`, of, records: left },
    { kind: 'record', name: `${name}_r`, of, records: right },
  ];
}

/** m/u of a level; 1 for a missing value, and for a gamma that no level has. */
function bayesFactor(comparison: Comparison, level: number): number {
  if (level < 0 || comparison.levels[level]!.isNull) return 1;
  return parameterOf(comparison, level, 'm') / parameterOf(comparison, level, 'u');
}

/** How frequent the values of a comparison are whose levels count rarity. */
async function frequenciesOf(encoder: Encoder, { levels }: Comparison) {
  const column = levels.find(({ termFrequency }) => termFrequency)?.termFrequency?.column;
  if (column === undefined) return undefined;
  const { codes } = await encoder.codes(column);
  return { codes, share: await termFrequencies(encoder, column) };
}

/** How frequent both sides' values are, as columns `tf_<comparison>_l` and `_r`; none where no level counts rarity. */
async function frequencyColumns(encoder: Encoder, comparison: Comparison, { left, right }: Candidates): Promise<ParquetColumn[]> {
  const frequencies = await frequenciesOf(encoder, comparison);
  if (!frequencies) return [];
  const { codes, share } = frequencies;
  const side = { kind: 'coded', type: 'DOUBLE', values: distinctNumbers(share), codes } as const;
  return [
    { ...side, name: `tf_${comparison.name}_l`, rows: left },
    { ...side, name: `tf_${comparison.name}_r`, rows: right },
  ];
}

/** What rarity adds, as a factor: (u / the more frequent value's share) ** weight on levels that count it, 1 on the others and where both are missing. */
async function rarityColumn(
  encoder: Encoder,
  comparison: Comparison,
  { left, right, gammas }: Candidates,
  c: number,
): Promise<ParquetColumn[]> {
  const frequencies = await frequenciesOf(encoder, comparison);
  const levels = gammasOf(comparison);
  const byGamma = new Map(levels.flatMap((gamma, level) => [[gamma, rarityOf(comparison, level)] as const]));
  if (!frequencies || [...byGamma.values()].every((rarity) => rarity === undefined)) return [];
  const { codes, share } = frequencies;
  const numbers = new Float64Array(left.length).fill(1);
  for (let p = 0; p < left.length; p++) {
    const rarity = byGamma.get(gammas[c]![p]!);
    const x = codes[left[p]!]!;
    const y = codes[right[p]!]!;
    if (!rarity || (x < 0 && y < 0)) continue;
    numbers[p] = (2 ** rarity.log2U / Math.max(share[x] ?? 0, share[y] ?? 0, rarity.minimumU)) ** rarity.weight;
  }
  return [{ kind: 'doubles', name: `bf_tf_adj_${comparison.name}`, numbers }];
}
