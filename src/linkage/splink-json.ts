// Splink's model JSON (versions 4 and 5), read and written. What a trained model says here it says in Splink, and the reverse.

import { z } from 'zod';

import { UserError } from '../base/errors.ts';
import { conditionSql, parseCondition } from './conditions.ts';
import { type BlockingRule, type Comparison, type Level, type LinkageSettings, parseSettings, settingsFault } from './settings.ts';
import { oneLine, parseTokens, splitSide, type Token, withTable, writeTokens } from './sql-text.ts';

const levelJson = z.strictObject({
  sql_condition: z.string('level without an sql_condition').min(1, 'level without an sql_condition'),
  label_for_charts: z.string().optional(),
  is_null_level: z.boolean().optional(),
  m_probability: z.number().gt(0, 'not in (0, 1]').max(1, 'not in (0, 1]').nullish(),
  u_probability: z.number().gt(0, 'not in (0, 1]').max(1, 'not in (0, 1]').nullish(),
  fix_m_probability: z.boolean().optional(),
  fix_u_probability: z.boolean().optional(),
  tf_adjustment_column: z.string().nullish(),
  tf_adjustment_weight: z.number().nullish(),
  tf_minimum_u_value: z.number().nullish(),
  disable_tf_exact_match_detection: z.boolean().optional(),
  comparison_vector_value: z.number().optional(),
});
const ruleJson = z.union([
  z.string(),
  z.strictObject({
    blocking_rule: z.string(),
    sql_dialect: z.string().nullish(),
    salting_partitions: z.number().nullish(),
    arrays_to_explode: z.array(z.string()).nullish(),
  }),
]);
const modelJson = z.strictObject({
  link_type: z.enum(['dedupe_only', 'link_only', 'link_and_dedupe']),
  probability_two_random_records_match: z.number().gt(0, 'not in (0, 1)').lt(1, 'not in (0, 1)').default(1e-4),
  comparisons: z.array(
    z.strictObject({
      output_column_name: z.string().optional(),
      comparison_levels: z.array(levelJson),
      comparison_description: z.string().optional(),
    }),
  ),
  blocking_rules_to_generate_predictions: z.array(ruleJson).default([]),
  unique_id_column_name: z.string().default('unique_id'),
  source_dataset_column_name: z.string().default('source_dataset'),
  additional_columns_to_retain: z.array(z.string()).default([]),
  em_convergence: z.number().optional(),
  max_iterations: z.number().optional(),
  retain_matching_columns: z.boolean().default(true),
  retain_intermediate_calculation_columns: z.boolean().default(false),
  sql_dialect: z.string().nullish(),
  linker_uid: z.string().nullish(),
  bayes_factor_column_prefix: z.string().optional(),
  match_weight_column_prefix: z.string().optional(),
  term_frequency_adjustment_column_prefix: z.string().optional(),
  comparison_vector_value_column_prefix: z.string().optional(),
});

/**
 * Reads a Splink model. Levels are recognised from their SQL; what is not recognised is kept as SQL.
 *
 * @throws UserError `linkage.settings` for an unknown key, a level without a condition, m or u outside (0, 1]; `linkage.rule`
 * @example readSplinkJson(JSON.parse(readFileSync('model.json', 'utf8')))
 */
export function readSplinkJson(json: unknown): LinkageSettings {
  const parsed = modelJson.safeParse(json);
  if (!parsed.success) throw settingsFault(parsed.error.issues[0]!);
  const model = parsed.data;
  const settings = {
    linkType: model.link_type,
    uniqueId: model.unique_id_column_name,
    ...(model.link_type === 'dedupe_only' ? {} : { source: model.source_dataset_column_name }),
    prior: model.probability_two_random_records_match,
    comparisons: model.comparisons.map((comparison, c) => readComparison(comparison, c)),
    blockingRules: model.blocking_rules_to_generate_predictions.map(readRule),
    ...(model.additional_columns_to_retain.length ? { retain: model.additional_columns_to_retain } : {}),
    retainMatching: model.retain_matching_columns,
    retainIntermediate: model.retain_intermediate_calculation_columns,
    ...(model.em_convergence === undefined ? {} : { emConvergence: model.em_convergence }),
    ...(model.max_iterations === undefined ? {} : { maxIterations: model.max_iterations }),
  };
  return parseSettings(settings);
}

function readComparison(json: z.infer<typeof modelJson>['comparisons'][number], index: number): Comparison {
  return {
    name: json.output_column_name ?? `comparison_${index}`,
    levels: json.comparison_levels.map(readLevel),
    ...(json.comparison_description ? { description: json.comparison_description } : {}),
  };
}

function readLevel(json: z.infer<typeof levelJson>): Level {
  const termFrequency = json.tf_adjustment_column && {
    termFrequency: {
      column: columnName(json.tf_adjustment_column),
      ...(typeof json.tf_adjustment_weight === 'number' ? { weight: json.tf_adjustment_weight } : {}),
      ...(typeof json.tf_minimum_u_value === 'number' ? { minimumU: json.tf_minimum_u_value } : {}),
      ...(json.disable_tf_exact_match_detection ? { levelU: true } : {}),
    },
  };
  return {
    condition: parseCondition(json.sql_condition),
    ...(json.label_for_charts === undefined ? {} : { label: json.label_for_charts }),
    ...(json.is_null_level ? { isNull: true } : {}),
    ...(typeof json.m_probability === 'number' ? { m: json.m_probability } : {}),
    ...(typeof json.u_probability === 'number' ? { u: json.u_probability } : {}),
    ...(json.fix_m_probability ? { fixM: true } : {}),
    ...(json.fix_u_probability ? { fixU: true } : {}),
    ...(termFrequency || {}),
  };
}

function readRule(json: z.infer<typeof ruleJson>): BlockingRule {
  if (typeof json === 'string') return parseRule(json);
  const explode = json.arrays_to_explode ?? [];
  return { ...parseRule(json.blocking_rule), ...(explode.length > 0 ? { explode: explode.map(columnName) } : {}) };
}

/**
 * Reads a blocking rule in SQL over `l` and `r`: the equalities of one expression on both sides that are joined by AND, and under `where` the rest.
 *
 * @throws UserError `linkage.rule` for SQL that does not name both sides
 * @example parseRule('l.last_name = r.last_name and substr(l.zip, 1, 3) = substr(r.zip, 1, 3)')
 */
export function parseRule(sql: string): BlockingRule {
  const tokens = parseTokens(sql);
  const sides = new Set(tokens.flatMap(({ kind, table }) => (kind === 'column' ? [table?.toLowerCase()] : [])));
  if (!sides.has('l') || !sides.has('r') || sides.size > 2) {
    throw new UserError(
      'linkage.rule',
      `linkage: blocking rule does not compare left with right: ${oneLine(sql)}; write columns as l.X and r.X`,
    );
  }
  const on: string[] = [];
  const rest: Token[][] = [];
  for (const part of splitAnd(tokens)) {
    const agreed = agreedExpression(part);
    if (agreed === undefined) rest.push(part);
    else on.push(agreed);
  }
  if (rest.length === 0) return { on };
  const [only, ...more] = rest;
  const where = more.length === 0 ? writeTokens(only!) : rest.map((part) => `(${writeTokens(part)})`).join(' and ');
  return { on, where };
}

/** The expression that an equality takes from both sides, if it is one. */
function agreedExpression(part: readonly Token[]): string | undefined {
  const equals = part.flatMap(({ kind, text }, at) => (kind === 'symbol' && (text === '=' || text === '==') ? [at] : []));
  if (equals.length !== 1 || part.some((token) => token.kind === 'word' && ['or', 'not', 'is', 'in'].includes(token.text.toLowerCase())))
    return undefined;
  const [a, b] = [splitSide(part.slice(0, equals[0])), splitSide(part.slice(equals[0]! + 1))];
  const isTwoSided = [a.side, b.side].sort().join() === 'left,right';
  return isTwoSided && a.expression === b.expression ? a.expression : undefined;
}

/** Splits at AND outside brackets, and drops brackets around the whole. */
function splitAnd(tokens: readonly Token[]): Token[][] {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token.text === '(') depth += 1;
    if (token.text === ')') depth -= 1;
    if (depth === 0 && token.kind === 'word' && token.text.toLowerCase() === 'and') parts.push([]);
    else parts.at(-1)!.push(token);
  }
  return parts.flatMap((part) => (isWrapped(part) ? splitAnd(part.slice(1, -1)) : [part]));
}

function isWrapped(tokens: readonly Token[]): boolean {
  let depth = 0;
  return (
    tokens[0]?.text === '(' &&
    tokens.every(({ text }, at) => (depth += text === '(' ? 1 : text === ')' ? -1 : 0) > 0 || at === tokens.length - 1)
  );
}

/** A rule as Splink writes it. */
export function ruleSql({ on, where }: BlockingRule): string {
  const equalities = on.map((expression) => `(${withTable(expression, 'l')} = ${withTable(expression, 'r')})`);
  return [...equalities, ...(where === undefined ? [] : [`(${where})`])].join(' AND ');
}

/** Writes settings as a Splink model that versions 4 and 5 load. */
export function toSplinkJson(settings: LinkageSettings): unknown {
  return {
    link_type: settings.linkType,
    probability_two_random_records_match: settings.prior,
    retain_matching_columns: settings.retainMatching ?? true,
    retain_intermediate_calculation_columns: settings.retainIntermediate ?? true,
    additional_columns_to_retain: settings.retain ?? [],
    sql_dialect: 'duckdb',
    em_convergence: settings.emConvergence ?? 1e-4,
    max_iterations: settings.maxIterations ?? 25,
    term_frequency_adjustment_column_prefix: 'tf_',
    comparison_vector_value_column_prefix: 'gamma_',
    unique_id_column_name: settings.uniqueId,
    source_dataset_column_name: settings.source ?? 'source_dataset',
    blocking_rules_to_generate_predictions: settings.blockingRules.map((rule) => ({
      blocking_rule: ruleSql(rule),
      sql_dialect: 'duckdb',
      ...(rule.explode ? { arrays_to_explode: rule.explode } : {}),
    })),
    comparisons: settings.comparisons.map(({ name, levels, description }) => ({
      output_column_name: name,
      comparison_levels: levels.map(levelToJson),
      comparison_description: description ?? name,
    })),
  };
}

function levelToJson({ condition, label, isNull, m, u, fixM, fixU, termFrequency }: Level) {
  const sql = conditionSql(condition);
  return {
    sql_condition: sql,
    label_for_charts: label ?? oneLine(sql),
    ...(m === undefined ? {} : { m_probability: m }),
    ...(u === undefined ? {} : { u_probability: u }),
    fix_m_probability: fixM ?? false,
    fix_u_probability: fixU ?? false,
    ...(isNull ? { is_null_level: true } : {}),
    ...(termFrequency
      ? {
          tf_adjustment_column: termFrequency.column,
          tf_adjustment_weight: termFrequency.weight ?? 1,
          ...(termFrequency.minimumU ? { tf_minimum_u_value: termFrequency.minimumU } : {}),
          ...(termFrequency.levelU ? { disable_tf_exact_match_detection: true } : {}),
        }
      : {}),
  };
}

function columnName(sql: string): string {
  const [only, ...rest] = parseTokens(sql);
  return only?.kind === 'column' && rest.length === 0 ? only.text : sql;
}
