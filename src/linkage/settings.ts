// What a linkage is told: which columns to compare and how, which pairs to look at, and (once trained) m, u and the prior.
// Plain readonly data; `parseSettings` checks data of unknown origin. Splink's JSON is translated in splink-json.ts.

import { z } from 'zod';

import { UserError } from '../base/errors.ts';
import { requireColumns } from '../sql/columns.ts';
import { columnsOf, normaliseExpression, pairColumnsOf } from './sql-text.ts';

/**
 * When a pair is on a level. `column` is an SQL expression over one record (`first_name`, `substr(zip, 1, 3)`), read from the left record
 * and compared with `other` (same as `column` unless given) of the right one. Missing is missing: it equals nothing, it is near nothing.
 */
export type Condition =
  /** Either side is missing. */
  | { readonly kind: 'null'; readonly column: string }
  | { readonly kind: 'exact'; readonly column: string; readonly other?: string }
  | { readonly kind: 'jaroWinkler' | 'jaro' | 'jaccard'; readonly column: string; readonly other?: string; readonly atLeast: number }
  | { readonly kind: 'levenshtein' | 'damerauLevenshtein'; readonly column: string; readonly other?: string; readonly atMost: number }
  /** |left - right| <= atMost for numbers; for dates compare `epoch(...)`, in seconds. */
  | { readonly kind: 'difference'; readonly column: string; readonly other?: string; readonly atMost: number }
  /** |left - right| / max(left, right) < below. */
  | { readonly kind: 'percentageDifference'; readonly column: string; readonly other?: string; readonly below: number }
  /** Great-circle distance; latitude and longitude in degrees. */
  | { readonly kind: 'distanceKm'; readonly latitude: string; readonly longitude: string; readonly atMost: number }
  /** At least so many different values are in both lists. */
  | { readonly kind: 'arrayIntersect'; readonly column: string; readonly other?: string; readonly atLeast: number }
  /** As many different values are in both lists as the shorter one is long. An empty list is no part of any, unless it is said to be. */
  | { readonly kind: 'arraySubset'; readonly column: string; readonly other?: string; readonly emptyIsSubset?: boolean }
  /** Some value of one list of texts is that near to some value of the other. */
  | {
      readonly kind: 'pairwise';
      readonly measure: 'jaroWinkler' | 'jaro';
      readonly column: string;
      readonly other?: string;
      readonly atLeast: number;
    }
  | {
      readonly kind: 'pairwise';
      readonly measure: 'levenshtein' | 'damerauLevenshtein';
      readonly column: string;
      readonly other?: string;
      readonly atMost: number;
    }
  /** Cosine of the angle between two arrays of numbers (DuckDB's `FLOAT[n]`, `DOUBLE[n]`). */
  | { readonly kind: 'cosine'; readonly column: string; readonly other?: string; readonly atLeast: number }
  /** One record of the pair has it: `column` is a condition over that record alone, `gender = 'F'`. */
  | { readonly kind: 'holds'; readonly side: 'left' | 'right'; readonly column: string }
  | { readonly kind: 'and' | 'or'; readonly conditions: readonly Condition[] }
  | { readonly kind: 'not'; readonly condition: Condition }
  /** Any SQL over `<column>_l` and `<column>_r`; decided by DuckDB on the pairs that need it. */
  | { readonly kind: 'sql'; readonly sql: string }
  | { readonly kind: 'else' };

/** Weight of how rare the shared value is: log2(u_exact / max(tf_l, tf_r, minimumU)) * weight is added on this level. */
export type TermFrequency = { readonly column: string; readonly weight?: number; readonly minimumU?: number; readonly levelU?: boolean };

export type Level = {
  readonly condition: Condition;
  readonly label?: string;
  /** Says nothing for or against a match (Bayes factor 1, gamma -1). */
  readonly isNull?: boolean;
  /** P(level | match), in (0, 1]. */
  readonly m?: number;
  /** P(level | no match), in (0, 1]. */
  readonly u?: number;
  readonly fixM?: boolean;
  readonly fixU?: boolean;
  readonly termFrequency?: TermFrequency;
};

/** Levels from best to worst; a pair is on the first whose condition holds. The last is `else`. */
export type Comparison = { readonly name: string; readonly levels: readonly Level[]; readonly description?: string };

/** Pairs whose records agree on every expression (missing agrees with nothing). */
export type BlockingRule = {
  readonly on: readonly string[];
  /** What a pair must also fulfil, as SQL over `l.<column>` and `r.<column>`. */
  readonly where?: string;
  /** Array columns that stand for one element at a time: two records agree where they share one. */
  readonly explode?: readonly string[];
};

export type LinkType = 'dedupe_only' | 'link_only' | 'link_and_dedupe';

export type LinkageSettings = {
  /** `link_only`: pairs within one source are no candidates. */
  readonly linkType: LinkType;
  readonly uniqueId: string;
  /** Column that says which source a record is from; required unless `dedupe_only`. */
  readonly source?: string;
  /** Probability that two records taken at random match. */
  readonly prior: number;
  readonly comparisons: readonly Comparison[];
  readonly blockingRules: readonly BlockingRule[];
  /** More columns to write beside the compared ones. */
  readonly retain?: readonly string[];
  /** Whether pairs are written with both records' compared values and levels (default true). */
  readonly retainMatching?: boolean;
  /** Whether pairs are written with frequencies and Bayes factors of each comparison (default true). */
  readonly retainIntermediate?: boolean;
  /** EM stops when no parameter moves by more (default 1e-4) or after so many iterations (default 25). */
  readonly emConvergence?: number;
  readonly maxIterations?: number;
};

const expression = z.string().min(1);
const other = expression.optional();
const probability = z.number().gt(0, 'not in (0, 1]').max(1, 'not in (0, 1]');
const share = z.number().min(0).max(1);
const amount = z.number().min(0);
const condition: z.ZodType<Condition> = z.lazy(() =>
  z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('null'), column: expression }),
    z.strictObject({ kind: z.literal('exact'), column: expression, other }),
    z.strictObject({ kind: z.enum(['jaroWinkler', 'jaro', 'jaccard', 'cosine']), column: expression, other, atLeast: share }),
    z.strictObject({ kind: z.enum(['levenshtein', 'damerauLevenshtein', 'difference']), column: expression, other, atMost: amount }),
    z.strictObject({ kind: z.literal('percentageDifference'), column: expression, other, below: amount }),
    z.strictObject({ kind: z.literal('distanceKm'), latitude: expression, longitude: expression, atMost: amount }),
    z.strictObject({ kind: z.literal('arrayIntersect'), column: expression, other, atLeast: amount }),
    z.strictObject({ kind: z.literal('arraySubset'), column: expression, other, emptyIsSubset: z.boolean().optional() }),
    z.discriminatedUnion('measure', [
      z.strictObject({ kind: z.literal('pairwise'), measure: z.enum(['jaroWinkler', 'jaro']), column: expression, other, atLeast: share }),
      z.strictObject({
        kind: z.literal('pairwise'),
        measure: z.enum(['levenshtein', 'damerauLevenshtein']),
        column: expression,
        other,
        atMost: amount,
      }),
    ]),
    z.strictObject({ kind: z.literal('holds'), side: z.enum(['left', 'right']), column: expression }),
    z.strictObject({ kind: z.enum(['and', 'or']), conditions: z.array(condition).min(1) }),
    z.strictObject({ kind: z.literal('not'), condition }),
    z.strictObject({ kind: z.literal('sql'), sql: expression }),
    z.strictObject({ kind: z.literal('else') }),
  ]),
) as z.ZodType<Condition>;

const level = z.strictObject({
  condition,
  label: z.string().optional(),
  isNull: z.boolean().optional(),
  m: probability.optional(),
  u: probability.optional(),
  fixM: z.boolean().optional(),
  fixU: z.boolean().optional(),
  termFrequency: z
    .strictObject({
      column: expression,
      weight: z.number().min(0).optional(),
      minimumU: z.number().min(0).max(1).optional(),
      levelU: z.boolean().optional(),
    })
    .optional(),
});

const settingsSchema = z.strictObject({
  linkType: z.enum(['dedupe_only', 'link_only', 'link_and_dedupe']),
  uniqueId: z.string().min(1),
  source: z.string().min(1).optional(),
  prior: z.number().gt(0, 'not in (0, 1)').lt(1, 'not in (0, 1)'),
  comparisons: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        levels: z.array(level).min(2, 'needs at least two levels'),
        description: z.string().optional(),
      }),
    )
    .min(1, 'needs at least one comparison'),
  blockingRules: z.array(
    z
      .strictObject({ on: z.array(expression), where: expression.optional(), explode: z.array(z.string().min(1)).min(1).optional() })
      .refine(({ on, where }) => on.length > 0 || where !== undefined, 'rule without a condition'),
  ),
  retain: z.array(z.string()).optional(),
  retainMatching: z.boolean().optional(),
  retainIntermediate: z.boolean().optional(),
  emConvergence: z.number().positive().optional(),
  maxIterations: z.number().int().positive().optional(),
});

/**
 * Checks settings of unknown origin.
 *
 * @throws UserError `linkage.settings`: the first fault, where it is and what was found
 */
export function parseSettings(value: unknown): LinkageSettings {
  const parsed = settingsSchema.safeParse(value);
  if (!parsed.success) throw settingsFault(parsed.error.issues[0]!);
  const settings = parsed.data as LinkageSettings;
  const names = new Set<string>();
  for (const { name, levels } of settings.comparisons) {
    if (names.has(name)) throw new UserError('linkage.settings', `linkage: comparison named twice: ${name}; names must differ`);
    names.add(name);
    if (levels.at(-1)!.condition.kind !== 'else' || levels.slice(0, -1).some(({ condition }) => condition.kind === 'else')) {
      throw new UserError('linkage.settings', `linkage: comparison without one last else level: ${name}; end its levels with else`);
    }
    const unmeasured = levels.find(
      (level) => level.termFrequency && !level.termFrequency.levelU && exactLevelOf({ name, levels }, level.termFrequency.column) < 0,
    );
    if (unmeasured) {
      throw new UserError(
        'linkage.settings',
        `linkage: comparison counts rarity without an exact level of the column: ${name}: ${unmeasured.termFrequency!.column}; add one, or say levelU`,
      );
    }
  }
  if (settings.linkType !== 'dedupe_only' && settings.source === undefined) {
    throw new UserError(
      'linkage.settings',
      `linkage: source column missing for ${settings.linkType}; name the column that holds each record's source`,
    );
  }
  return settings;
}

/** The first complaint of a schema as one line. */
export function settingsFault(issue: { readonly path: readonly PropertyKey[]; readonly message: string }): UserError {
  const where = issue.path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  const message = issue.message.replace(/^Unrecognized keys?: /, 'unknown key: ').replace(/^Invalid input: /, '');
  return new UserError('linkage.settings', `linkage: settings${where}: ${message}; see docs/linkage.md for the settings`);
}

/**
 * Sees that every column that settings or a rule name exists in the table.
 *
 * @throws UserError `linkage.column` with the nearest column
 */
export function checkColumns(settings: LinkageSettings, tableColumns: readonly string[]): void {
  requireColumns(settingsColumns(settings), tableColumns, { part: 'linkage', code: 'linkage.column' });
}

/** Columns that settings name, in order of appearance. */
export function settingsColumns({ uniqueId, source, comparisons, blockingRules, retain = [] }: LinkageSettings): string[] {
  return [
    uniqueId,
    ...(source ? [source] : []),
    ...comparisons.flatMap(comparisonColumns),
    ...blockingRules.flatMap(ruleColumns),
    ...retain,
  ];
}

/** Columns a blocking rule reads. */
export function ruleColumns({ on, where, explode = [] }: BlockingRule): string[] {
  return [...on.flatMap(columnsOf), ...(where === undefined ? [] : pairColumnsOf(where)), ...explode];
}

/** Columns a comparison reads, each once, in order of appearance. */
export function comparisonColumns({ levels }: Comparison): string[] {
  return [
    ...new Set(
      levels.flatMap((level) => [...conditionColumns(level.condition), ...(level.termFrequency ? [level.termFrequency.column] : [])]),
    ),
  ];
}

/** Columns a condition reads, each once. */
export function conditionColumns(condition: Condition): string[] {
  if (condition.kind === 'sql') return pairColumnsOf(condition.sql);
  return [...new Set(conditionExpressions(condition).flatMap(columnsOf))];
}

/** Expressions over one record that a condition compares. SQL conditions have none. */
export function conditionExpressions(condition: Condition): string[] {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return condition.conditions.flatMap(conditionExpressions);
    case 'not':
      return conditionExpressions(condition.condition);
    case 'null':
    case 'holds':
      return [condition.column];
    case 'distanceKm':
      return [condition.latitude, condition.longitude];
    case 'sql':
    case 'else':
      return [];
    default:
      return [condition.column, condition.other ?? condition.column];
  }
}

/** True when some part of the condition has no rule in the kernel. */
export function needsSql(condition: Condition): boolean {
  if (condition.kind === 'and' || condition.kind === 'or') return condition.conditions.some(needsSql);
  return condition.kind === 'sql' || (condition.kind === 'not' && needsSql(condition.condition));
}

/** True when some part compares an expression of the left record with another one of the right. */
export function comparesColumns(condition: Condition): boolean {
  if (condition.kind === 'and' || condition.kind === 'or') return condition.conditions.some(comparesColumns);
  if (condition.kind === 'not') return comparesColumns(condition.condition);
  return 'other' in condition && condition.other !== undefined;
}

/** How a rule is named in reports: `last_name + city`. */
export function ruleName({ on, where, explode }: BlockingRule): string {
  const plain = (sql: string) => sql.replace(/"([A-Za-z_]\w*)"/g, '$1');
  return [
    on.map(plain).join(' + '),
    ...(explode ? [`one of ${explode.join(', ')}`] : []),
    ...(where === undefined ? [] : [`where ${plain(where)}`]),
  ]
    .filter((part) => part !== '')
    .join(' ');
}

/** Place of the level that says the column is equal on both sides, -1 for none. */
export function exactLevelOf({ levels }: Comparison, column: string): number {
  const wanted = normaliseExpression(column).toLowerCase();
  return levels.findIndex(
    ({ condition, isNull }) =>
      !isNull &&
      condition.kind === 'exact' &&
      [condition.column, condition.other ?? condition.column].every((one) => normaliseExpression(one).toLowerCase() === wanted),
  );
}

/** Gamma of each level of a comparison: -1 for null levels, else counting down to 0 for the last. */
export function gammasOf({ levels }: Comparison): number[] {
  let next = levels.filter(({ isNull }) => !isNull).length;
  return levels.map(({ isNull }) => (isNull ? -1 : --next));
}

/**
 * m and u a level starts from when neither given nor trained: the best level has m 0.95 and weight 10; the others share the rest, with
 * weights from 3 down to -5. Source: Splink's defaults.
 */
export function defaultProbability(levelCount: number, gamma: number, which: 'm' | 'u'): number {
  const m = gamma === levelCount - 1 ? 0.95 : 0.05 / (levelCount - 1);
  if (which === 'm') return m;
  const weight = gamma === levelCount - 1 ? 10 : levelCount === 2 ? -5 : -5 + (8 * gamma) / (levelCount - 2);
  return m / 2 ** weight;
}
