// Scored pairs as a Parquet file, with the columns and names that Splink gives them.
//
// Pairs know their records by number and the encoder knows each record's values by code, so the file is written from arrays (sql/parquet-writer.ts):
// no join, no text per pair. Columns of lists, structs and the like, which have no codes, are joined to that file by DuckDB in one more step.

import { join } from 'node:path';

import { temporaryFolder } from '../base/files.ts';
import { literal, quote } from '../sql/duckdb.ts';
import { distinctNumbers, distinctTexts, type ParquetColumn } from '../sql/parquet-columns.ts';
import { writeParquetColumns } from '../sql/parquet-writer.ts';
import type { Candidates } from './candidates.ts';
import type { Encoder } from './encode.ts';
import { readRecordColumns } from './record-columns.ts';
import { type Comparison, comparisonColumns, gammasOf, type LinkageSettings } from './settings.ts';
import { termFrequencies } from './term-frequency.ts';
import { parameterOf, rarityOf } from './weights.ts';

/** Pairs of a row group: so many that a name's bytes are seldom written twice, so few that two groups in the making take 200 MB. */
const pairsPerGroup = 500_000;

export type WriteOptions = {
  /** Names of the two id columns; `<id>_l` and `<id>_r` by default. */
  readonly idNames?: readonly [string, string];
  /** More columns, one number per pair. */
  readonly extra?: Readonly<Record<string, Float64Array>>;
};

/** A column of the file: numbers of the pairs, or what a column of the records holds on one side. */
type PairColumn = ParquetColumn | { readonly kind: 'record'; readonly name: string; readonly of: string; readonly side: 'left' | 'right' };

/** Writes pairs sorted as given: weights, ids, then per comparison both values, gamma, frequencies and Bayes factors, then what is retained. */
export async function writePairs(
  encoder: Encoder,
  settings: LinkageSettings,
  candidates: Candidates,
  file: string,
  options: WriteOptions = {},
): Promise<void> {
  const planned = await planColumns(encoder, settings, candidates, options);
  const names = planned.flatMap((column) => (column.kind === 'record' ? [column.of] : []));
  const known = await readRecordColumns(encoder, names, settings.uniqueId);
  const columns = planned.flatMap((column): ParquetColumn[] => {
    if (column.kind !== 'record') return [column];
    const { name, of, side } = column;
    const read = known.get(of);
    return read ? [{ kind: 'coded', name, ...read, rows: candidates[side] }] : [];
  });
  const rows = { rowCount: candidates.count, groupRows: pairsPerGroup };
  if (columns.length === planned.length) return writeParquetColumns(file, { columns, ...rows });

  const numbers = (['left', 'right'] as const).map(
    (side): ParquetColumn => ({
      kind: 'coded',
      name: `__${side}`,
      type: 'INTEGER',
      values: recordNumbers(encoder),
      rows: candidates[side],
    }),
  );
  const scratch = temporaryFolder();
  try {
    const flat = join(scratch.path, 'flat.parquet');
    await writeParquetColumns(flat, { columns: [...columns, ...numbers], ...rows });
    const select = planned.map((column) =>
      column.kind === 'record' && !known.has(column.of)
        ? `${column.side === 'left' ? 'a' : 'b'}.${quote(column.of)} as ${quote(column.name)}`
        : `p.${quote(column.name)}`,
    );
    await encoder.db.writeParquet(
      `select ${select.join(', ')} from read_parquet(${literal(flat)}) p
       join ${encoder.table} a on a.__row = p.__left join ${encoder.table} b on b.__row = p.__right order by p.__left, p.__right`,
      file,
    );
  } finally {
    scratch.remove();
  }
}

/** The columns in the order of the file. */
async function planColumns(
  encoder: Encoder,
  settings: LinkageSettings,
  candidates: Candidates,
  { idNames, extra = {} }: WriteOptions,
): Promise<readonly PairColumn[]> {
  const { uniqueId, retainMatching = true, retainIntermediate = true } = settings;
  const [idLeft, idRight] = idNames ?? [`${uniqueId}_l`, `${uniqueId}_r`];
  const { matchWeight } = candidates;
  const columns: PairColumn[] = [
    { kind: 'doubles', name: 'match_weight', numbers: matchWeight },
    { kind: 'doubles', name: 'match_probability', numbers: matchWeight.map((weight) => 1 / (1 + 2 ** -weight)) },
    ...(settings.linkType === 'dedupe_only' || idNames ? [] : sides(settings.source!)),
    { kind: 'record', name: idLeft, of: uniqueId, side: 'left' },
    { kind: 'record', name: idRight, of: uniqueId, side: 'right' },
  ];
  const written = new Set([uniqueId]);
  const bothSides = (name: string) => {
    if (!written.has(name)) columns.push(...sides(name));
    written.add(name);
  };
  for (const [c, comparison] of settings.comparisons.entries()) {
    // Counted from 0, as codes are.
    const codes = candidates.gammas[c]!.map((gamma) => gamma + 1);
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

function sides(of: string): PairColumn[] {
  return [
    { kind: 'record', name: `${of}_l`, of, side: 'left' },
    { kind: 'record', name: `${of}_r`, of, side: 'right' },
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

function recordNumbers({ recordCount }: Encoder) {
  return distinctNumbers(Int32Array.from({ length: recordCount }, (_, record) => record));
}
