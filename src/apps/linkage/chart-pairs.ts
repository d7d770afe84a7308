import { basename } from 'node:path';
import { UserError } from '../../base/errors.ts';
import { thousands } from '../../base/text.ts';
import { weightHistogramChart } from '../../charts/histogram.ts';
import type { ChartSpec } from '../../charts/render.ts';
import { thresholdChart } from '../../charts/threshold-curves.ts';
import { type WaterfallStep, waterfallChart } from '../../charts/waterfall.ts';
import { signed } from '../../charts/weight.ts';
import { recordName } from '../../linkage/encode.ts';
import { requireColumns } from '../../sql/columns.ts';
import { type Database, quote, readingFile } from '../../sql/duckdb.ts';
import { evaluate } from './evaluate.ts';
import { loadTable } from './input.ts';
import { openStore, type StageOptions } from './session.ts';

/** A file of all pairs holds weights far below any threshold: those beyond are drawn at these. */
const drawn = { least: -30, most: 60 };

/** How many pairs of a file there are of each match weight. */
export async function histogramOf({ pairs: file }: { readonly pairs: string }, stage: StageOptions): Promise<ChartSpec> {
  await using db = await openStore(stage);
  await loadPairs(db, file, []);
  const [range] = await readingFile(file, () =>
    db.rows<{ low: number; high: number; likely: number; below: number }>(
      `select coalesce(min(w), 0) as low, coalesce(max(w), 0) as high, count(*) filter (w >= 0) as likely,
         count(*) filter (w < ${drawn.least}) as below
       from (select cast(match_weight as double) as w from pairs) where w is not null`,
    ),
  );
  const { low, high, likely, below } = range!;
  const span = Math.min(drawn.most, high) - Math.max(drawn.least, low);
  const width = span <= 30 ? 0.5 : span <= 60 ? 1 : 2;
  const found = await db.rows<{ bin: number; pairs: number }>(
    `select floor(least(greatest(cast(match_weight as double), ${drawn.least}), ${drawn.most}) / ${width})::integer as bin, count(*) as pairs
     from pairs where match_weight is not null group by 1 order by 1`,
  );
  const bins = found.map(({ bin, pairs }) => ({ from: bin * width, until: (bin + 1) * width, pairs }));
  const least =
    below > 0
      ? `The first bar holds the ${thousands(below)} pairs below ${signed(drawn.least)}, too.`
      : `Pairs below the lowest weight, ${signed(low)}, are not in the file.`;
  const source = `From ${basename(file)}: ${thousands(likely)} pairs have a match probability of 50 % or more. ${least}`;
  return weightHistogramChart({ bins, source });
}

/** Precision, recall and F1 of a file of pairs, by the match weight they are accepted from. */
export async function thresholdsOf({
  pairs: pairsFile,
  in: files,
  ...rest
}: {
  readonly pairs: string;
  readonly in: readonly string[];
  readonly labels: string;
  readonly id: string;
  readonly source?: string | undefined;
  readonly linkOnly?: boolean | undefined;
}): Promise<ChartSpec> {
  const { table, best, pairs, truePairs, missed } = (await evaluate({ files, pairsFile, weightStep: 0.25, ...rest })).pairs!;
  const within = table.filter(({ matchWeight }) => matchWeight >= drawn.least && matchWeight <= drawn.most);
  const points = within.map(({ matchWeight, precision, recall, f1 }) => ({ weight: matchWeight, precision, recall, f1 }));
  if (best) points.push({ weight: best.threshold, precision: best.precision, recall: best.recall, f1: best.f1 });
  const source =
    `${thousands(pairs)} labelled pairs of ${basename(pairsFile)} against ${rest.labels}; ${thousands(missed)} of ${thousands(truePairs)} true pairs are not ` +
    'in it and missed at every weight. The best F1 was chosen with the labels in sight.';
  return thresholdChart({ points: points.sort((a, b) => a.weight - b.weight), source });
}

/** How one pair's match weight comes about, from the Bayes factors (Splink 4) or match weights (Splink 5) of its comparisons. */
export async function waterfallOf(
  {
    pairs: file,
    left,
    right,
    id,
    source,
  }: { readonly pairs: string; readonly left: string; readonly right: string; readonly id: string; readonly source?: string | undefined },
  stage: StageOptions,
): Promise<ChartSpec> {
  await using db = await openStore(stage);
  const names = await loadPairs(db, file, [...(source ? [source] : []), id]);
  const comparisons = comparisonsOf(names, [id, ...(source ? [source] : [])]);
  if (comparisons.length === 0) {
    throw new UserError(
      'chart.columns',
      `chart: no bf_ or mw_ columns in ${file}; set retain_intermediate_calculation_columns in the model and have the pairs written again`,
    );
  }
  const row = await findPair(db, { file, names, left, right, id, source });
  const bits = (column: string) => {
    const value = row[column];
    if (value === null || value === undefined) return 0;
    return column.startsWith('bf_') ? Math.log2(Number(value)) : Number(value);
  };
  const steps = comparisons.flatMap(({ name, values, weight, rarity }): WaterfallStep[] => [
    { label: `${name}${said(values, row)}`, value: bits(weight), kind: 'step' },
    ...(rarity && bits(rarity) !== 0 ? [{ label: `${name}: how rare the value is`, value: bits(rarity), kind: 'step' as const }] : []),
  ]);
  const total = Number(row.match_weight);
  const prior = total - steps.reduce((sum, { value }) => sum + value, 0);
  const probability = 1 / (1 + 2 ** -total);
  const name = (side: string) => [...(source ? [row[`${source}_${side}`]] : []), row[`${id}_${side}`]].join(' ');
  return waterfallChart({
    unit: 'match weight, in bits: +1 doubles the odds of a match',
    title: {
      text: `Why this pair has a match weight of ${signed(total)}`,
      source: `Records ${name('l')} and ${name('r')} of ${basename(file)}: match probability ${probability > 0.9999 ? 'above 0.9999' : probability.toPrecision(4)}.`,
    },
    steps: [
      ...(Number.isFinite(prior) ? [{ label: 'prior: two records taken at random', value: prior, kind: 'start' as const }] : []),
      ...steps,
      { label: 'MATCH WEIGHT', value: 0, kind: 'total' },
    ],
  });
}

/** Loads pairs as a view and sees that it has weights and ids. */
async function loadPairs(db: Database, file: string, keys: readonly string[]): Promise<string[]> {
  await loadTable(db, file, 'pairs');
  const names = (await db.describe('pairs')).map(({ name }) => name);
  const wanted = ['match_weight', ...keys.flatMap((key) => [`${key}_l`, `${key}_r`])];
  const hint = keys.length > 0 ? '--id names the id column without _l' : 'name a file as link dedupe, link predict or Splink write it';
  requireColumns(wanted, names, { part: 'chart', code: 'chart.columns', file, hint });
  return names;
}

type PairComparison = {
  readonly name: string;
  /** Columns compared, without `_l` and `_r`. */
  readonly values: readonly string[];
  readonly weight: string;
  readonly rarity?: string;
};

/** Comparisons of a file of pairs, in its order: values of both sides stand before the comparison's gamma, unless an earlier one shows them. */
function comparisonsOf(names: readonly string[], keys: readonly string[]): PairComparison[] {
  const found: PairComparison[] = [];
  let values: string[] = [];
  for (const name of names) {
    const gamma = name.match(/^gamma_(.*)$/)?.[1];
    const column = name.match(/^(?!tf_)(.*)_l$/)?.[1];
    if (column !== undefined && !keys.includes(column) && names.includes(`${column}_r`)) values.push(column);
    if (gamma === undefined) continue;
    const [weight, rarity] = ['', 'tf_adj_'].map((infix) =>
      [`bf_${infix}${gamma}`, `mw_${infix}${gamma}`].find((one) => names.includes(one)),
    );
    const shown = values.length > 0 || !names.includes(`${gamma}_l`) ? values : [gamma];
    if (weight) found.push({ name: gamma, values: shown, weight, ...(rarity ? { rarity } : {}) });
    values = [];
  }
  return found;
}

/** `: Ann | Anne`, `= Oak` where both sides are equal. */
function said(values: readonly string[], row: Readonly<Record<string, unknown>>): string {
  if (values.length === 0) return '';
  const side = (letter: string) => values.map((name) => String(row[`${name}_${letter}`] ?? 'missing')).join(', ');
  const [left, right] = [side('l'), side('r')];
  return left === right ? ` = ${left}` : `: ${left} | ${right}`;
}

async function findPair(
  db: Database,
  {
    file,
    names,
    left,
    right,
    id,
    source,
  }: {
    readonly file: string;
    readonly names: readonly string[];
    readonly left: string;
    readonly right: string;
    readonly id: string;
    readonly source: string | undefined;
  },
): Promise<Record<string, unknown>> {
  const is = (side: string, which: string) => {
    const plain = `cast(${quote(`${id}_${side}`)} as varchar) = ${which}`;
    return source ? `(${plain} or ${recordName(`${id}_${side}`, `${source}_${side}`)} = ${which})` : plain;
  };
  const columns = names.map((name) =>
    /^(bf|mw)_|^match_weight$/.test(name) ? `cast(${quote(name)} as double) as ${quote(name)}` : quote(name),
  );
  const rows = await readingFile(file, () =>
    db.rows<Record<string, unknown>>(
      `select ${columns.join(', ')} from pairs where (${is('l', '$1')} and ${is('r', '$2')}) or (${is('l', '$2')} and ${is('r', '$1')})`,
      [left, right],
    ),
  );
  if (rows.length === 1) return rows[0]!;
  const why =
    rows.length === 0
      ? `no pair of the two records in ${file}; look up ids in its columns ${id}_l and ${id}_r`
      : `the two ids name ${rows.length} pairs of ${file}; give --source, and ids as SOURCE-__-ID`;
  throw new UserError('chart.pair', `chart: ${why}`);
}
