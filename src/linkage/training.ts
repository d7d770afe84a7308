// Prior, u and m, without labels or with some.
//
//   prior   pairs that strict rules find / share of the matches they are thought to find / all pairs
//   u       estimate-u.ts: from value counts where equality decides, else from random pairs
//   m       em.ts, once per rule among the pairs of that rule, for the comparisons that do not read the rule's columns; the median of the sessions
//           label-m.ts, where there are labels: one more session, for all comparisons
//
// Worked case: sessions on birthdate, on last_name + city and on ssn: first_name is trained by all three, birthdate by the last two.
// Cost: the pairs of all EM rules, counted once each by the kernel.

import { UserError } from '../base/errors.ts';
import type { Progress } from '../base/progress.ts';
import { median } from '../base/statistics.ts';
import { countAllPairs } from './blocking.ts';
import { type EmComparison, type EmResult, estimateM, type Patterns } from './em.ts';
import { type EmHistory, emHistory } from './em-history.ts';
import type { Encoder } from './encode.ts';
import { samplePairs as drawPairs, estimateU } from './estimate-u.ts';
import { compileLevels, type KernelData } from './kernel.ts';
import { type Labels, labelM } from './label-m.ts';
import type { PairSource } from './pair-source.ts';
import { rarityShifts, shiftOf } from './rarity.ts';
import {
  type BlockingRule,
  type Comparison,
  comparisonColumns,
  exactLevelOf,
  gammasOf,
  type LinkageSettings,
  ruleColumns,
  ruleName,
} from './settings.ts';
import { decideLevels } from './sql-path.ts';
import { levelRarity, parameterOf, undecidedComparisons } from './weights.ts';
import type { Pool } from './workers.ts';

export type TrainingPlan = {
  /** Rules so strict that their pairs are matches, and the share of all matches they are thought to find: they give the prior. */
  readonly deterministicRules?: readonly BlockingRule[];
  readonly recall?: number;
  /** m is estimated among the pairs of each of these rules, and the median taken. */
  readonly emRules: readonly BlockingRule[];
  /** Pairs an EM rule is trained on, drawn from all of its pairs where there are more: 3 million by default. */
  readonly maxPairs?: number;
  /** Known matches: m is estimated among them, too, as by one more session. */
  readonly labels?: Labels;
  /** Random pairs for u of the levels that are no equality. */
  readonly samplePairs?: number;
  readonly seed?: number;
  /** m below it is raised to it; none by default. */
  readonly minimumM?: number;
};

export type EmSession = Pick<EmResult, 'iterations' | 'lastChange' | 'converged' | 'prior'> & {
  readonly rule: string;
  readonly pairs: number;
  /** Comparisons it trained: those that do not read the rule's columns. */
  readonly comparisons: readonly string[];
  readonly history: EmHistory;
};

export type TrainingReport = {
  readonly prior: number;
  readonly sessions: readonly EmSession[];
  /** Pairs that the labels gave, where there are labels. */
  readonly labelPairs?: number;
  /** Levels that no session met; they keep Splink's default m. */
  readonly untrained: readonly string[];
};

/** A share of the pairs, where there are more than so many. */
export type SampleSize = { readonly mostPairs?: number; readonly seed?: number };

/** An opened linkage as training and prediction need it. */
export type Workshop = {
  readonly data: KernelData;
  readonly encoder: Encoder;
  readonly pool: Pool;
  readonly progress: Progress;
  readonly pairSource: (
    rules: readonly BlockingRule[],
    size?: SampleSize,
  ) => Promise<{ readonly source: PairSource; readonly pairs: number }>;
};

/** Columns that a plan's rules read. */
export function planColumns({ deterministicRules = [], emRules }: TrainingPlan): string[] {
  return [...deterministicRules, ...emRules].flatMap(ruleColumns);
}

type Session = EmSession & { readonly m: ReadonlyMap<number, readonly number[]> };

/**
 * Trains a model: its settings with prior, u and m.
 *
 * @throws UserError `linkage.recall`, `linkage.prior`, `linkage.em-rule` for a plan that cannot be carried out
 */
export async function trainModel(
  workshop: Workshop,
  settings: LinkageSettings,
  { deterministicRules = [], recall = 1, emRules, labels, maxPairs = 3e6, samplePairs = 1e6, seed = 1, minimumM = 1e-12 }: TrainingPlan,
): Promise<{ readonly settings: LinkageSettings; readonly report: TrainingReport }> {
  const step = workshop.progress.step('linkage training', { total: emRules.length + 1, unit: 'parts' });
  const labelled = labels ? await labelM(workshop, settings, labels) : undefined;
  const prior = deterministicRules.length > 0 ? await deterministicPrior(workshop, deterministicRules, recall) : settings.prior;
  const u = await estimateU(workshop.data, workshop.pool, { recordCount: workshop.encoder.recordCount, samplePairs, seed });
  for (const c of undecidedComparisons(settings)) u[c] = await sampleBySql(workshop, settings.comparisons[c]!, { samplePairs, seed });
  const withU = { ...settings, prior, comparisons: settings.comparisons.map((one, c) => withParameters(one, 'u', u[c]!)) };
  step.advance(1);
  const sessions: Session[] = [];
  for (const rule of emRules) {
    sessions.push(await emSession(workshop, withU, rule, { seed, mostPairs: maxPairs }));
    step.advance(1);
  }
  const untrained: string[] = [];
  const comparisons = withU.comparisons.map((comparison, c) => {
    const found = sessions.flatMap(({ m }) => (m.has(c) ? [m.get(c)!] : [])).concat(labelled ? [labelled.m[c]!] : []);
    const m = comparison.levels.map(({ isNull, label, fixM }, level) => {
      const values = found.map((one) => one[level]!).filter((value) => !Number.isNaN(value));
      if (values.length > 0 || isNull) return Math.max(minimumM, median(values));
      if (!fixM) untrained.push(`${comparison.name}: ${label ?? `level ${gammasOf(comparison)[level]}`}`);
      return parameterOf({ ...comparison, levels: comparison.levels.map(({ m: _, ...rest }) => rest) }, level, 'm');
    });
    return withParameters(comparison, 'm', m);
  });
  step.finish();
  const report = { prior, sessions: sessions.map(({ m: _, ...session }) => session), untrained };
  return { settings: { ...withU, comparisons }, report: labelled ? { ...report, labelPairs: labelled.pairs } : report };
}

/** Prior from pairs that strict rules find: found / recall / all pairs. */
async function deterministicPrior(
  { data, encoder, pool, pairSource }: Workshop,
  rules: readonly BlockingRule[],
  recall: number,
): Promise<number> {
  if (!(recall > 0 && recall <= 1)) throw new UserError('linkage.recall', `linkage: recall not in (0, 1]: ${recall}`);
  const { source, pairs } = await pairSource(rules);
  const { counts } = await pool.run({ data, source, job: { kind: 'count', active: [], rarity: [] }, pairs });
  const found = counts[0] ?? 0;
  const whole = countAllPairs(encoder.recordCount, data.source);
  const prior = found / recall / Math.max(1, whole);
  if (found > 0 && prior < 1) return prior;
  const rule = rules.map(ruleName).join(' or ');
  throw new UserError(
    'linkage.prior',
    `linkage: deterministic rules find ${found} of ${whole} pairs: ${rule}; choose rules that find some matches and little else`,
  );
}

async function sampleBySql(
  { data, encoder }: Workshop,
  comparison: Comparison,
  options: { readonly samplePairs: number; readonly seed: number },
): Promise<number[]> {
  const { source } = data;
  const { left, right } = drawPairs({ recordCount: encoder.recordCount, ...options, ...(source ? { source } : {}) });
  const counts = new Float64Array(comparison.levels.length);
  for (const level of await decideLevels(encoder, comparison, left, right)) counts[level]! += 1;
  const held = comparison.levels.map(({ isNull }, level) => (isNull ? 0 : Math.max(0.5, counts[level]!)));
  const all = held.reduce((sum, count) => sum + count, 0);
  return comparison.levels.map(({ isNull }, level) => (isNull ? Number.NaN : held[level]! / all));
}

async function emSession(workshop: Workshop, settings: LinkageSettings, rule: BlockingRule, size: SampleSize): Promise<Session> {
  const { comparisons, emConvergence = 1e-4, maxIterations = 25 } = settings;
  const blocked = new Set(ruleColumns(rule).map((name) => name.toLowerCase()));
  const active = comparisons.flatMap((comparison, c) =>
    comparisonColumns(comparison).some((name) => blocked.has(name.toLowerCase())) ? [] : [c],
  );
  const { source, pairs } = await workshop.pairSource([rule], size);
  const patterns = active.length > 0 ? await countPatterns(workshop, settings, { active, source, pairs }) : noPatterns;
  const count = patterns.counts.reduce((sum, value) => sum + value, 0) + patterns.shift.length;
  if (count === 0) {
    const why = active.length === 0 ? 'leaves no comparison to train' : 'has no pairs';
    throw new UserError('linkage.em-rule', `linkage: em rule ${why}: ${ruleName(rule)}; choose another`);
  }
  const {
    m,
    history: steps,
    ...result
  } = estimateM(
    patterns,
    active.map((c) => emComparison(comparisons[c]!)),
    { prior: sessionPrior(settings, rule), tolerance: emConvergence, maxIterations },
  );
  const trained = new Map(active.map((c, i) => [c, m[i]!] as const));
  const history = emHistory(
    active.map((c) => comparisons[c]!),
    steps,
  );
  return { ...result, rule: ruleName(rule), pairs: count, comparisons: active.map((c) => comparisons[c]!.name), history, m: trained };
}

const none = new Float64Array(0);
const noPatterns: Patterns = { keys: none, counts: none, shiftedPattern: none, shift: none };

/** How often each pattern of levels occurs: by the kernel alone, or pair by pair where some comparison needs the database. */
async function countPatterns(
  { data, encoder, pool }: Workshop,
  settings: LinkageSettings,
  { active, source, pairs }: { readonly active: readonly number[]; readonly source: PairSource; readonly pairs: number },
): Promise<Patterns> {
  const undecided = new Set(undecidedComparisons(settings));
  const rarity = levelRarity(settings);
  if (!active.some((c) => undecided.has(c))) {
    const { patterns, counts, shiftedPattern, shift } = await pool.run({ data, source, job: { kind: 'count', active, rarity }, pairs });
    return { keys: patterns, counts, shiftedPattern, shift };
  }
  const { left, right } = await pool.run({ data, source, job: { kind: 'list' }, pairs });
  const levelOf = compileLevels(data);
  const shifts = rarityShifts(data, rarity);
  const keys = new Float64Array(left.length);
  const bits = new Float64Array(left.length);
  const isShifted = new Uint8Array(left.length);
  for (const c of active) {
    const comparison = settings.comparisons[c]!;
    const decided = undecided.has(c) ? await decideLevels(encoder, comparison, left, right) : undefined;
    for (let p = 0; p < keys.length; p++) {
      const level = decided ? decided[p]! : levelOf[c]!(left[p]!, right[p]!);
      keys[p] = keys[p]! * comparison.levels.length + level;
      const shift = shifts[c]![level];
      if (shift === undefined) continue;
      bits[p]! += shiftOf(shift, left[p]!, right[p]!);
      isShifted[p] = 1;
    }
  }
  const counts = new Map<number, number>();
  for (let p = 0; p < keys.length; p++) if (isShifted[p] === 0) counts.set(keys[p]!, (counts.get(keys[p]!) ?? 0) + 1);
  return {
    keys: Float64Array.from(counts.keys()),
    counts: Float64Array.from(counts.values()),
    shiftedPattern: keys.filter((_, p) => isShifted[p] === 1),
    shift: bits.filter((_, p) => isShifted[p] === 1),
  };
}

/** Probability of a match among a rule's pairs, to start from: the prior raised by what agreeing on the blocked columns is worth. */
function sessionPrior({ prior, comparisons }: LinkageSettings, { on }: BlockingRule): number {
  let odds = prior / (1 - prior);
  for (const expression of on) {
    const comparison = comparisons.find((one) => exactLevelOf(one, expression) >= 0);
    if (comparison === undefined) continue;
    const level = exactLevelOf(comparison, expression);
    odds *= parameterOf(comparison, level, 'm') / parameterOf(comparison, level, 'u');
  }
  return Math.min(0.999, odds / (1 + odds));
}

function withParameters(comparison: Comparison, which: 'm' | 'u', values: readonly number[]): Comparison {
  const fixed = which === 'm' ? 'fixM' : 'fixU';
  return {
    ...comparison,
    levels: comparison.levels.map((level, i) => (level.isNull || level[fixed] ? level : { ...level, [which]: values[i]! })),
  };
}

/** EM starts from the defaults, whatever was trained before, so that training twice gives the same. */
function emComparison(comparison: Comparison): EmComparison {
  const { levels } = comparison;
  const start = { ...comparison, levels: levels.map(({ m, ...level }) => (level.fixM && m !== undefined ? { ...level, m } : level)) };
  return {
    levelCount: levels.length,
    nullLevel: levels.findIndex(({ isNull }) => isNull),
    m: levels.map((_, level) => parameterOf(start, level, 'm')),
    u: levels.map((_, level) => parameterOf(comparison, level, 'u')),
    fixed: levels.map(({ fixM, m }) => fixM === true && m !== undefined),
  };
}
