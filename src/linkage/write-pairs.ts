// Scored pairs as a Parquet file, with the columns and names that Splink gives them.

import type { NewColumn } from '../sql/duckdb.ts';
import { quote } from '../sql/duckdb.ts';
import type { Candidates } from './candidates.ts';
import type { Encoder } from './encode.ts';
import { comparisonColumns, gammasOf, type LinkageSettings } from './settings.ts';
import { normaliseExpression } from './sql-text.ts';
import { parameterOf, rarityOf } from './weights.ts';

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
  const pairs = `${table}_out`;
  const gammaColumns = settings.comparisons.map(({ name }, c): [string, NewColumn] => [
    `gamma_${name}`,
    { type: 'INTEGER', values: candidates.gammas[c]! },
  ]);
  await db.createTable(pairs, {
    __left: { type: 'INTEGER', values: candidates.left },
    __right: { type: 'INTEGER', values: candidates.right },
    match_weight: { type: 'DOUBLE', values: candidates.matchWeight },
    __rule: { type: 'INTEGER', values: candidates.matchKey },
    ...Object.fromEntries(gammaColumns),
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
  const joins: string[] = [];
  const written = new Set([settings.uniqueId]);
  const value = (name: string) => {
    if (written.has(name)) return;
    written.add(name);
    select.push(...sides(name));
  };
  for (const comparison of settings.comparisons) {
    for (const name of comparisonColumns(comparison)) value(name);
    const gamma = quote(`gamma_${comparison.name}`);
    select.push(gamma);
    const frequency = await addFrequency(encoder, comparison, joins);
    if (frequency)
      select.push(
        `${frequency}_l.share as ${quote(`tf_${comparison.name}_l`)}`,
        `${frequency}_r.share as ${quote(`tf_${comparison.name}_r`)}`,
      );
    const gammas = gammasOf(comparison);
    const factors = comparison.levels.map(
      ({ isNull }, level) =>
        `when ${gammas[level]} then ${isNull ? 1 : parameterOf(comparison, level, 'm') / parameterOf(comparison, level, 'u')}::double`,
    );
    select.push(`case ${gamma} ${factors.join(' ')} end as ${quote(`bf_${comparison.name}`)}`);
    if (!frequency) continue;
    const adjusted = comparison.levels.flatMap((_, level) => {
      const rarity = rarityOf(comparison, level);
      if (!rarity) return [];
      const most = `greatest(${frequency}_l.share, ${frequency}_r.share, ${rarity.minimumU})`;
      return [`when ${gammas[level]} then coalesce(pow(${2 ** rarity.log2U} / ${most}, ${rarity.weight}), 1)`];
    });
    if (adjusted.length > 0) select.push(`case ${gamma} ${adjusted.join(' ')} else 1 end as ${quote(`bf_tf_adj_${comparison.name}`)}`);
  }
  for (const name of settings.retain ?? []) value(name);
  select.push('cast(__rule as varchar) as match_key', ...Object.keys(extra).map(quote));
  const from = `${pairs} join ${table} a on a.__row = __left join ${table} b on b.__row = __right ${joins.join(' ')}`;
  await db.writeParquet(`select ${select.join(', ')} from ${from} order by __left, __right`, file);
  await db.run(`drop table ${pairs}`);
}

function sides(name: string): string[] {
  return [`a.${quote(name)} as ${quote(`${name}_l`)}`, `b.${quote(name)} as ${quote(`${name}_r`)}`];
}

/** Joins the frequencies of both sides' values; returns the joined tables' common name. */
async function addFrequency(
  encoder: Encoder,
  { levels }: LinkageSettings['comparisons'][number],
  joins: string[],
): Promise<string | undefined> {
  const column = levels.find(({ termFrequency }) => termFrequency)?.termFrequency?.column;
  if (column === undefined) return undefined;
  const key = normaliseExpression(column);
  const name = `tf_${joins.length}`;
  const shares = `(select ${key} as v, count(*) / sum(count(*)) over () as share from ${encoder.table} where ${key} is not null group by 1)`;
  for (const [side, alias] of [
    ['a', 'l'],
    ['b', 'r'],
  ] as const)
    joins.push(`left join ${shares} ${name}_${alias} on ${name}_${alias}.v = ${side}.${quote(column)}`);
  return name;
}
