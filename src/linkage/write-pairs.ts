// Scored pairs as a Parquet file, with the columns and names that Splink gives them.

import type { NewColumn } from '../sql/duckdb.ts';
import { quote, rowGroupRows } from '../sql/duckdb.ts';
import type { Candidates } from './candidates.ts';
import type { Encoder } from './encode.ts';
import { type Comparison, comparisonColumns, gammasOf, type LinkageSettings } from './settings.ts';
import { termFrequencies } from './term-frequency.ts';
import { parameterOf, rarityOf } from './weights.ts';

/** Whole row groups, so that the file can be cut one way only. */
const pairsPerShare = 4 * rowGroupRows;

export type WriteOptions = {
  /** Names of the two id columns; `<id>_l` and `<id>_r` by default. */
  readonly idNames?: readonly [string, string];
  /** More columns, one value per pair. */
  readonly extra?: Readonly<Record<string, NewColumn>>;
};

/** Writes pairs sorted as given: weights, ids, then per comparison both values, gamma, frequencies and Bayes factors, then what is retained. */
export async function writePairs(
  encoder: Encoder,
  settings: LinkageSettings,
  candidates: Candidates,
  file: string,
  { idNames, extra = {} }: WriteOptions = {},
): Promise<void> {
  const { db, table } = encoder;
  const { retainMatching = true, retainIntermediate = true } = settings;
  const pairs = `${table}_out`;
  const gammaColumns = settings.comparisons.flatMap(({ name }, c): [string, NewColumn][] =>
    retainMatching || retainIntermediate ? [[`gamma_${name}`, { type: 'TINYINT', values: candidates.gammas[c]! }]] : [],
  );
  const frequencies = new Map<string, readonly (readonly [string, NewColumn])[]>();
  if (retainIntermediate)
    for (const comparison of settings.comparisons)
      frequencies.set(comparison.name, await frequencyColumns(encoder, comparison, candidates));
  await db.createTable(pairs, {
    __left: { type: 'INTEGER', values: candidates.left },
    __right: { type: 'INTEGER', values: candidates.right },
    match_weight: { type: 'DOUBLE', values: candidates.matchWeight },
    __rule: { type: 'INTEGER', values: candidates.matchKey },
    ...Object.fromEntries([...gammaColumns, ...[...frequencies.values()].flat()]),
    ...extra,
  });
  const [idLeft, idRight] = idNames ?? [`${settings.uniqueId}_l`, `${settings.uniqueId}_r`];
  const id = quote(settings.uniqueId);
  const select = [
    'match_weight',
    '1 / (1 + pow(2, -match_weight)) as match_probability',
    ...(settings.linkType === 'dedupe_only' || idNames ? [] : sides(settings.source!)),
    `a.${id} as ${quote(idLeft)}`,
    `b.${id} as ${quote(idRight)}`,
  ];
  const written = new Set([settings.uniqueId]);
  const value = (name: string) => {
    if (written.has(name)) return;
    written.add(name);
    select.push(...sides(name));
  };
  for (const comparison of settings.comparisons) {
    const gamma = quote(`gamma_${comparison.name}`);
    if (retainMatching) {
      for (const name of comparisonColumns(comparison)) value(name);
      select.push(`${gamma}::integer as ${gamma}`);
    }
    if (!retainIntermediate) continue;
    const [left, right] = frequencies.get(comparison.name)!.map(([name]) => quote(name));
    if (left && right) select.push(left, right);
    const gammas = gammasOf(comparison);
    const factors = comparison.levels.map(
      ({ isNull }, level) =>
        `when ${gammas[level]} then ${isNull ? 1 : parameterOf(comparison, level, 'm') / parameterOf(comparison, level, 'u')}::double`,
    );
    select.push(`case ${gamma} ${factors.join(' ')} end as ${quote(`bf_${comparison.name}`)}`);
    if (!left || !right) continue;
    const adjusted = comparison.levels.flatMap((_, level) => {
      const rarity = rarityOf(comparison, level);
      if (!rarity) return [];
      const most = `greatest(${left}, ${right}, ${rarity.minimumU})`;
      return [`when ${gammas[level]} then coalesce(pow(${2 ** rarity.log2U} / ${most}, ${rarity.weight}), 1)`];
    });
    if (adjusted.length > 0) select.push(`case ${gamma} ${adjusted.join(' ')} else 1 end as ${quote(`bf_tf_adj_${comparison.name}`)}`);
  }
  for (const name of settings.retain ?? []) value(name);
  select.push('cast(__rule as varchar) as match_key', ...Object.keys(extra).map(quote));
  const rows = `${pairs}_rows`;
  const insert = (from: number, until: number) => {
    const [first, last] = from < until ? [candidates.left[from], candidates.left[until - 1]] : [0, -1];
    return `select ${select.join(', ')} from (select * from ${pairs} where rowid >= ${from} and rowid < ${until}) p
      join (select * from ${table} where __row between ${first} and ${last}) a on a.__row = p.__left
      join ${table} b on b.__row = p.__right order by p.__left, p.__right`;
  };
  await db.run(`create or replace temp table ${rows} as ${insert(0, 0)}`);
  // A share at a time: sorting all of so wide rows at once would take as much memory again as they do.
  for (let from = 0; from < candidates.count; from += pairsPerShare)
    await db.run(`insert into ${rows} ${insert(from, Math.min(candidates.count, from + pairsPerShare))}`);
  await db.run(`drop table ${pairs}`);
  await db.writeTable(rows, file);
  await db.run(`drop table ${rows}`);
}

function sides(name: string): string[] {
  return [`a.${quote(name)} as ${quote(`${name}_l`)}`, `b.${quote(name)} as ${quote(`${name}_r`)}`];
}

/** How frequent both sides' values are, as columns `tf_<comparison>_l` and `_r`; none where no level counts rarity. */
async function frequencyColumns(
  encoder: Encoder,
  { name, levels }: Comparison,
  { left, right }: Candidates,
): Promise<readonly (readonly [string, NewColumn])[]> {
  const column = levels.find(({ termFrequency }) => termFrequency)?.termFrequency?.column;
  if (column === undefined) return [];
  const { codes } = await encoder.codes(column);
  const share = await termFrequencies(encoder, column);
  const sideColumn = (records: Int32Array): NewColumn => {
    const values = new Float64Array(records.length);
    for (let p = 0; p < records.length; p++) values[p] = share[codes[records[p]!]!] ?? 0;
    return { type: 'DOUBLE', values, missing: (p) => codes[records[p]!]! < 0 };
  };
  return [
    [`tf_${name}_l`, sideColumn(left)],
    [`tf_${name}_r`, sideColumn(right)],
  ];
}
