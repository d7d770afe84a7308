// The facade: open a table, look at what blocking would do, train, predict, write.

import { UserError } from '../base/errors.ts';
import { type Progress, silent } from '../base/progress.ts';
import { median } from '../base/statistics.ts';
import type { Database } from '../sql/duckdb.ts';
import { type Blocks, buildBlocks, countBlocks, guardBlocks, packGroups, planTasks, type RuleCount } from './blocking.ts';
import { type EmComparison, type EmResult, estimateM } from './em.ts';
import { Encoder } from './encode.ts';
import { samplePairs as drawPairs, estimateU } from './estimate-u.ts';
import { compileLevels, type KernelData } from './kernel.ts';
import { prepareKernel } from './prepare.ts';
import type { KernelJob, PairSource } from './score.ts';
import {
  type BlockingRule,
  checkColumns,
  comparisonColumns,
  defaultProbability,
  gammasOf,
  type LinkageSettings,
  needsSql,
  parseSettings,
  ruleName,
} from './settings.ts';
import { decideLevels } from './sql-path.ts';
import { columnsOf, normaliseExpression } from './sql-text.ts';
import { createPool, type Pool } from './workers.ts';
import { type WriteOptions, writePairs } from './write-pairs.ts';

/** Pairs kept by `predict`, sorted by (left, right); arrays of equal length. Records are numbered in order of the unique id. */
export type Candidates = {
  readonly count: number;
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** log2 of the odds of a match, prior included. */
  readonly matchWeight: Float64Array;
  /** Place of the blocking rule that produced the pair first. */
  readonly matchKey: Uint8Array;
  /** Per comparison: level of each pair, -1 for missing, else counting down to 0. */
  readonly gammas: readonly Int8Array[];
};

export type TrainingPlan = {
  /** Rules so strict that their pairs are matches, and the share of all matches they are thought to find: they give the prior. */
  readonly deterministicRules?: readonly BlockingRule[];
  readonly recall?: number;
  /** m is estimated among the pairs of each of these rules, and the median taken. */
  readonly emRules: readonly BlockingRule[];
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
};

export type TrainingReport = {
  readonly prior: number;
  readonly sessions: readonly EmSession[];
  /** Levels that no session met; they keep Splink's default m. */
  readonly untrained: readonly string[];
};

export type LinkerOptions = {
  readonly db: Database;
  /** Table or view of records. */
  readonly table: string;
  readonly settings: LinkageSettings;
  readonly threads?: number;
  readonly progress?: Progress;
  /** A blocking rule is refused when one of its blocks alone holds more pairs. */
  readonly maxBlockPairs?: number;
};

/** Work is handed to threads in shares of about this many pairs. */
const pairsPerTask = 50_000;

/** Probabilistic linkage of one table (Fellegi and Sunter 1969). A resource: close it, or let `await using` do so. */
export class Linker implements AsyncDisposable {
  private model: LinkageSettings;
  private readonly encoder: Encoder;
  private readonly pool: Pool;
  private readonly progress: Progress;
  private readonly maxBlockPairs: number;
  private kernel: KernelData | undefined;

  private constructor(options: LinkerOptions, encoder: Encoder) {
    this.model = options.settings;
    this.encoder = encoder;
    this.pool = createPool(options.threads ? { threads: options.threads } : {});
    this.progress = options.progress ?? silent;
    this.maxBlockPairs = options.maxBlockPairs ?? 2e9;
  }

  /** @throws UserError for settings that do not fit the table, missing or repeated ids, an empty table */
  static async open(options: LinkerOptions): Promise<Linker> {
    const settings = parseSettings(options.settings);
    checkColumns(
      settings,
      (await options.db.describe(options.table)).map(({ name }) => name),
    );
    return new Linker(options, await Encoder.open(options.db, options.table, settings));
  }

  async close(): Promise<void> {
    await this.pool.stop();
    await this.encoder.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Settings with the m, u and prior that `train` found. */
  get settings(): LinkageSettings {
    return this.model;
  }

  get recordCount(): number {
    return this.encoder.recordCount;
  }

  /** Pairs each blocking rule produces by itself, exact, before anything is compared. */
  async countPairs(rules: readonly BlockingRule[] = this.model.blockingRules): Promise<readonly RuleCount[]> {
    const { source } = await this.prepared();
    const counts: RuleCount[] = [];
    for (const rule of rules) counts.push(countBlocks(await buildBlocks(this.encoder, rule), source));
    return counts;
  }

  /**
   * Estimates prior, u and m without labels.
   *
   * @returns what each EM session did, with a plain word on whether it converged
   */
  async train({
    deterministicRules = [],
    recall = 1,
    emRules,
    samplePairs = 1e6,
    seed = 1,
    minimumM = 1e-12,
  }: TrainingPlan): Promise<TrainingReport> {
    const step = this.progress.step('linkage training', { total: emRules.length + 1, unit: 'parts' });
    const data = await this.prepared();
    const prior = deterministicRules.length > 0 ? await this.deterministicPrior(deterministicRules, recall) : this.model.prior;
    const u = estimateU(data, { recordCount: this.recordCount, samplePairs, seed });
    for (const c of this.undecided()) u[c] = await this.sampleBySql(c, { samplePairs: Math.min(samplePairs, 200_000), seed });
    this.model = { ...this.model, prior, comparisons: this.model.comparisons.map((one, c) => withParameters(one, { u: u[c]! })) };
    step.advance(1);
    const sessions: (EmSession & { readonly m: ReadonlyMap<number, readonly number[]> })[] = [];
    for (const rule of emRules) {
      sessions.push(await this.emSession(rule));
      step.advance(1);
    }
    const untrained: string[] = [];
    const comparisons = this.model.comparisons.map((comparison, c) => {
      const found = sessions.flatMap(({ m }) => (m.has(c) ? [m.get(c)!] : []));
      const gammas = gammasOf(comparison);
      const count = gammas.filter((gamma) => gamma >= 0).length;
      const m = comparison.levels.map(({ isNull }, level) => {
        const values = found.map((one) => one[level]!).filter((value) => !Number.isNaN(value));
        if (values.length > 0 || isNull) return Math.max(minimumM, median(values));
        untrained.push(`${comparison.name}: ${comparison.levels[level]!.label ?? `level ${gammas[level]}`}`);
        return defaultProbability(count, gammas[level]!, 'm');
      });
      return withParameters(comparison, { m });
    });
    this.model = { ...this.model, comparisons };
    step.finish();
    return { prior, sessions: sessions.map(({ m: _, ...session }) => session), untrained };
  }

  /**
   * Scores the pairs of all blocking rules and keeps those with a match probability of at least `threshold`.
   *
   * @throws UserError `linkage.block` when a block explodes
   */
  async predict({ threshold = 1e-4 }: { readonly threshold?: number } = {}): Promise<Candidates> {
    const data = await this.prepared();
    const { source, pairs } = await this.pairSource(this.model.blockingRules);
    const step = this.progress.step('linkage scoring', { total: pairs, unit: 'pairs' });
    const least = threshold <= 0 ? Number.NEGATIVE_INFINITY : Math.log2(threshold / (1 - threshold));
    const undecided = this.undecided();
    const weights = this.weights();
    const prior = Math.log2(this.model.prior / (1 - this.model.prior));
    const found = await this.pool.run(
      data,
      source,
      { kind: 'score', weights, rarity: this.rarity(), prior, threshold: least, undecided },
      pairs,
    );
    const levels = found.levels.map((list) => list);
    const weight = found.weight;
    for (const c of undecided) {
      levels[c] = await decideLevels(this.encoder, this.model.comparisons[c]!, found.left, found.right);
      const best = weights[c]!.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
      for (let p = 0; p < weight.length; p++) weight[p]! += weights[c]![levels[c]![p]!]! - best;
    }
    const kept = undecided.length > 0 ? Uint32Array.from(weight.keys()).filter((p) => weight[p]! >= least) : undefined;
    const pick = <T extends Int32Array | Float64Array | Uint8Array>(values: T): T =>
      kept ? (values.filter((_, p) => weight[p]! >= least) as T) : values;
    step.advance(pairs);
    step.finish();
    const left = pick(found.left);
    return {
      count: left.length,
      left,
      right: pick(found.right),
      matchWeight: pick(weight),
      matchKey: pick(found.rule),
      gammas: this.model.comparisons.map((comparison, c) => {
        const gammas = gammasOf(comparison);
        return Int8Array.from(pick(levels[c]!), (level) => gammas[level]!);
      }),
    };
  }

  /** Writes pairs as Parquet with Splink's column names. */
  async writePairs(candidates: Candidates, file: string, options?: WriteOptions): Promise<void> {
    await writePairs(this.encoder, this.model, candidates, file, options);
  }

  private async prepared(): Promise<KernelData> {
    this.kernel ??= await prepareKernel(this.encoder, this.model);
    return this.kernel;
  }

  /** Comparisons with a level in SQL. */
  private undecided(): number[] {
    return this.model.comparisons.flatMap(({ levels }, c) => (levels.some(({ condition }) => needsSql(condition)) ? [c] : []));
  }

  private async pairSource(rules: readonly BlockingRule[]): Promise<{ readonly source: PairSource; readonly pairs: number }> {
    const { source: origin } = await this.prepared();
    const blocks: Blocks[] = [];
    let pairs = 0;
    for (const rule of rules) {
      const made = await buildBlocks(this.encoder, rule);
      const count = countBlocks(made, origin);
      guardBlocks(count, this.maxBlockPairs);
      pairs += count.pairs;
      blocks.push(made);
    }
    const next = new Int32Array(new SharedArrayBuffer(4));
    const tasks = planTasks(blocks, pairsPerTask);
    return { source: { blocks, packedGroups: packGroups(blocks, this.recordCount), tasks, next }, pairs };
  }

  /** Prior from pairs that strict rules find: found / recall / all pairs. */
  private async deterministicPrior(rules: readonly BlockingRule[], recall: number): Promise<number> {
    if (!(recall > 0 && recall <= 1)) throw new UserError('linkage.recall', `linkage: recall not in (0, 1]: ${recall}`);
    const data = await this.prepared();
    const { source, pairs } = await this.pairSource(rules);
    const found = (await this.pool.run(data, source, { kind: 'list' }, pairs)).left.length;
    const whole = countBlocks({ name: 'all', ...wholeOrder(this.recordCount) }, data.source).pairs;
    const prior = found / recall / Math.max(1, whole);
    if (found > 0 && prior < 1) return prior;
    const rule = rules.map(ruleName).join(' or ');
    throw new UserError(
      'linkage.prior',
      `linkage: deterministic rules find ${found} of ${whole} pairs: ${rule}; choose rules that find some matches and little else`,
    );
  }

  private async sampleBySql(c: number, options: { readonly samplePairs: number; readonly seed: number }): Promise<number[]> {
    const { source } = await this.prepared();
    const { left, right } = drawPairs({ recordCount: this.recordCount, ...options, ...(source ? { source } : {}) });
    const comparison = this.model.comparisons[c]!;
    const counts = new Float64Array(comparison.levels.length);
    for (const level of await decideLevels(this.encoder, comparison, left, right)) counts[level]! += 1;
    const held = comparison.levels.map(({ isNull }, level) => (isNull ? 0 : Math.max(0.5, counts[level]!)));
    const all = held.reduce((sum, count) => sum + count, 0);
    return comparison.levels.map(({ isNull }, level) => (isNull ? Number.NaN : held[level]! / all));
  }

  private async emSession(rule: BlockingRule): Promise<EmSession & { readonly m: ReadonlyMap<number, readonly number[]> }> {
    const data = await this.prepared();
    const { source, pairs } = await this.pairSource([rule]);
    const blocked = new Set(rule.on.flatMap(columnsOf));
    const { comparisons } = this.model;
    const active = comparisons.flatMap((comparison, c) => (comparisonColumns(comparison).some((name) => blocked.has(name)) ? [] : [c]));
    if (active.length === 0 || pairs === 0) {
      const why = pairs === 0 ? 'has no pairs' : 'leaves no comparison to train';
      throw new UserError('linkage.em-rule', `linkage: em rule ${why}: ${ruleName(rule)}; choose another`);
    }
    const patterns = await this.countPatterns(active, { data, source, pairs });
    const count = patterns.counts.reduce((sum, value) => sum + value, 0) + patterns.shift.length;
    const { m, ...result } = estimateM(
      patterns,
      active.map((c) => emComparison(comparisons[c]!)),
      { prior: this.sessionPrior(rule), tolerance: this.model.emConvergence ?? 1e-4, maxIterations: this.model.maxIterations ?? 25 },
    );
    const trained = new Map(active.map((c, i) => [c, m[i]!] as const));
    return { ...result, rule: ruleName(rule), pairs: count, comparisons: active.map((c) => comparisons[c]!.name), m: trained };
  }

  private async countPatterns(
    active: readonly number[],
    { data, source, pairs }: { readonly data: KernelData; readonly source: PairSource; readonly pairs: number },
  ) {
    const undecided = new Set(this.undecided());
    const rarity = this.rarity();
    if (!active.some((c) => undecided.has(c))) {
      const { patterns, counts, shiftedPattern, shift } = await this.pool.run(data, source, { kind: 'count', active, rarity }, pairs);
      return { keys: patterns, counts, shiftedPattern, shift };
    }
    const { left, right } = await this.pool.run(data, source, { kind: 'list' }, pairs);
    const levelOf = compileLevels(data);
    const keys = new Float64Array(left.length);
    for (const c of active) {
      const comparison = this.model.comparisons[c]!;
      const levels = undecided.has(c)
        ? await decideLevels(this.encoder, comparison, left, right)
        : left.map((one, p) => levelOf[c]!(one, right[p]!));
      for (let p = 0; p < keys.length; p++) keys[p] = keys[p]! * comparison.levels.length + levels[p]!;
    }
    const counts = new Map<number, number>();
    for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
    const none = new Float64Array(0);
    return { keys: Float64Array.from(counts.keys()), counts: Float64Array.from(counts.values()), shiftedPattern: none, shift: none };
  }

  /** Odds of a match among a rule's pairs, to start from: the prior raised by what agreeing on the blocked columns is worth. */
  private sessionPrior(rule: BlockingRule): number {
    let odds = this.model.prior / (1 - this.model.prior);
    for (const expression of rule.on.map(normaliseExpression)) {
      for (const { levels } of this.model.comparisons) {
        const level = levels.find(
          ({ condition }) =>
            condition.kind === 'exact' && normaliseExpression(condition.column) === expression && condition.other === undefined,
        );
        if (!level) continue;
        odds *= (level.m ?? 0.95) / (level.u ?? 1);
        break;
      }
    }
    return Math.min(0.999, odds / (1 + odds));
  }

  private weights(): Float64Array[] {
    return this.model.comparisons.map((comparison) => {
      const gammas = gammasOf(comparison);
      const count = gammas.filter((gamma) => gamma >= 0).length;
      return Float64Array.from(comparison.levels, ({ isNull, m, u }, level) =>
        isNull
          ? 0
          : Math.log2((m ?? defaultProbability(count, gammas[level]!, 'm')) / (u ?? defaultProbability(count, gammas[level]!, 'u'))),
      );
    });
  }

  private rarity(): Extract<KernelJob, { readonly kind: 'score' }>['rarity'] {
    return this.model.comparisons.map(({ levels }) => {
      const level = levels.find(({ termFrequency }) => termFrequency);
      if (!level?.u) return undefined;
      return { log2U: Math.log2(level.u), weight: level.termFrequency!.weight ?? 1, minimumU: level.termFrequency!.minimumU ?? 0 };
    });
  }
}

function withParameters<T extends LinkageSettings['comparisons'][number]>(
  comparison: T,
  { m, u }: { readonly m?: readonly number[]; readonly u?: readonly number[] },
): T {
  const levels = comparison.levels.map((level, i) => ({
    ...level,
    ...(m && !level.isNull && !level.fixM ? { m: m[i]! } : {}),
    ...(u && !level.isNull && !level.fixU ? { u: u[i]! } : {}),
  }));
  return { ...comparison, levels };
}

function emComparison(comparison: LinkageSettings['comparisons'][number]): EmComparison {
  const gammas = gammasOf(comparison);
  const count = gammas.filter((gamma) => gamma >= 0).length;
  return {
    levelCount: comparison.levels.length,
    nullLevel: comparison.levels.findIndex(({ isNull }) => isNull),
    m: comparison.levels.map(({ m, fixM }, level) => (fixM && m !== undefined ? m : defaultProbability(count, gammas[level]!, 'm'))),
    u: comparison.levels.map(({ u }) => u ?? 1),
    fixed: comparison.levels.map(({ fixM, m }) => fixM === true && m !== undefined),
  };
}

function wholeOrder(recordCount: number) {
  return {
    order: Int32Array.from({ length: recordCount }, (_, i) => i),
    starts: Int32Array.from([0, recordCount]),
    groups: new Int32Array(0),
  };
}
