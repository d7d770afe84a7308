// Blocking rules made ready to walk: groups of records that agree, or a list of pairs where agreeing is not enough to find them.
//
//   on: city                                  groups of a city
//   on: city, where: levenshtein(...) <= 2    the same groups; the kernel asks the rest of each of their pairs
//   where: anything else                      DuckDB joins the records with themselves, once, and the pairs are kept as a list
//   explode: tags                             likewise, one element of the array at a time, each pair once
//
// Worked case: l.city = r.city and l.first_name = r.last_name: groups by city; the second part compares two different columns: a list.

import { UserError } from '../base/errors.ts';
import { thousands } from '../base/text.ts';
import { quote } from '../sql/duckdb.ts';
import { type BlockCount, type Blocks, countBlocks, ruleCodes, wholeBlock } from './blocking.ts';
import { type Chore, type ChoreResult, doChore } from './chores.ts';
import { parseCondition } from './conditions.ts';
import { type Encoder, sqlFault } from './encode.ts';
import type { KernelData } from './kernel.ts';
import { listSource, type RuleSource } from './pair-source.ts';
import { prepareKernel } from './prepare.ts';
import { type BlockingRule, type Condition, comparesColumns, type LinkageSettings, needsSql, ruleName } from './settings.ts';
import { withTable } from './sql-text.ts';

/** A rule made ready. `filter` is for the caller to compile beside the other rules': a condition over pairs of its groups. */
export type MadeRule = { readonly source: RuleSource; readonly count: BlockCount; readonly filter?: Condition };

/** Pairs that a list may hold: 800 MB. */
const longestList = 2e8;

/**
 * Makes a rule ready.
 *
 * @param origin source of each record when pairs within one are none
 * @throws UserError `linkage.rule` for a rule that would have to look at all pairs of a large table, `linkage.sql`
 */
export async function makeRule(encoder: Encoder, rule: BlockingRule, settings: LinkageSettings, origin?: Int32Array): Promise<MadeRule> {
  const filter = rule.where === undefined ? undefined : parseCondition(rule.where);
  const isListed = rule.explode !== undefined || (filter !== undefined && (needsSql(filter) || comparesColumns(filter)));
  if (isListed) return listPairs(encoder, rule, settings);
  const { recordCount } = encoder;
  if (rule.on.length === 0 && recordCount > 20_000) {
    throw new UserError(
      'linkage.rule',
      `linkage: blocking rule without an equality: ${ruleName(rule)}; all pairs of ${thousands(recordCount)} records are too many, add l.X = r.X`,
    );
  }
  if (rule.on.length > 0) return madeRule(doChore(await ruleChore(encoder, rule, origin)), filter);
  const blocks: Blocks = { ...wholeBlock(recordCount), name: ruleName(rule) };
  return madeRule({ blocks, count: countBlocks(blocks, origin) }, filter);
}

/** True for a rule that is nothing but equalities, all of whose columns have codes: it can be made ready without the database. */
export function isReadyToMake(encoder: Encoder, { on, where, explode }: BlockingRule): boolean {
  return on.length > 0 && where === undefined && explode === undefined && on.every((expression) => encoder.known(expression));
}

/** The part of making a rule ready that any thread can do. */
export async function ruleChore(encoder: Encoder, rule: BlockingRule, origin?: Int32Array): Promise<Chore> {
  return { ...(await ruleCodes(encoder, rule)), ...(origin ? { origin } : {}) };
}

export function madeRule({ blocks, count }: ChoreResult, filter?: Condition): MadeRule {
  return { source: blocks, count, ...(filter ? { filter } : {}) };
}

async function listPairs(encoder: Encoder, rule: BlockingRule, { linkType, source }: LinkageSettings): Promise<MadeRule> {
  const { db, table, recordCount } = encoder;
  const records = (rule.explode ?? []).reduce(
    (from, column) => `(select * replace (unnest(${quote(column)}) as ${quote(column)}) from ${from})`,
    table,
  );
  const conditions = [
    ...rule.on.map((expression) => `${withTable(expression, 'l')} = ${withTable(expression, 'r')}`),
    ...(rule.where === undefined ? [] : [`(${rule.where})`]),
    'l.__row < r.__row',
    ...(linkType === 'link_only' ? [`l.${quote(source!)} <> r.${quote(source!)}`] : []),
  ];
  const pairs = `${table}_listed`;
  try {
    await db.run(`create or replace temp table ${pairs} as
      select ${rule.explode ? 'distinct' : ''} l.__row as a, r.__row as b from ${records} l join ${records} r on ${conditions.join(' and ')}`);
  } catch (cause) {
    throw sqlFault(ruleName(rule), cause);
  }
  const count = await db.value<number>(`select count(*) from ${pairs}`);
  if (count > longestList) {
    throw new UserError(
      'linkage.block',
      `linkage: blocking rule finds too many pairs: ${ruleName(rule)}: ${thousands(count)}, at most ${thousands(longestList)}; add an equality l.X = r.X`,
    );
  }
  const { a, b } = await db.columns<{ a: Int32Array; b: Int32Array }>(`select a, b from ${pairs} order by a, b`);
  await db.run(`drop table ${pairs}`);
  const none = new Int32Array(0);
  return {
    source: listSource(recordCount, count > 0 ? a : none, count > 0 ? b : none),
    count: { rule: ruleName(rule), pairs: count, blocks: 0, largest: [] },
  };
}

/** The rules' sources with their filters in place, and what those read. */
export async function compileFilters(
  encoder: Encoder,
  settings: LinkageSettings,
  rules: readonly MadeRule[],
): Promise<{ readonly sources: readonly RuleSource[]; readonly filterData?: KernelData }> {
  const filtered = rules.filter(({ filter }) => filter !== undefined);
  if (filtered.length === 0) return { sources: rules.map(({ source }) => source) };
  // A filter is prepared as the first level of a comparison.
  const filterData = await prepareKernel(encoder, {
    ...settings,
    comparisons: filtered.map(({ filter }, i) => ({
      name: `rule ${i}`,
      levels: [{ condition: filter! }, { condition: { kind: 'else' } }],
    })),
  });
  const place = new Map(filtered.map((rule, i) => [rule, i]));
  const sources = rules.map((rule): RuleSource => {
    const i = place.get(rule);
    return i === undefined ? rule.source : ({ ...rule.source, filter: filterData.comparisons[i]!.levels[0]! } as RuleSource);
  });
  return { sources, filterData };
}
