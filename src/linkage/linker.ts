// The facade: open a table, look at what blocking would do, train, predict, write.

import { UserError } from '../base/errors.ts';
import { type Progress, silent } from '../base/progress.ts';
import { type Database, quote } from '../sql/duckdb.ts';
import { guardBlocks, nameBlocks, type RuleCount } from './blocking.ts';
import type { Candidates } from './candidates.ts';
import { Encoder, sharedLike } from './encode.ts';
import type { KernelData } from './kernel.ts';
import { createPairSource, type PairSource, tasksOfRule } from './pair-source.ts';
import { codedExpressions, prepareKernel } from './prepare.ts';
import { rarityShifts, shiftOf } from './rarity.ts';
import type { WriteTable } from './record-table.ts';
import { compileFilters, isReadyToMake, type MadeRule, madeRule, makeRule, ruleChore } from './rules.ts';
import type { KernelJob } from './score.ts';
import { type BlockingRule, checkColumns, gammasOf, type LinkageSettings, parseSettings, settingsColumns } from './settings.ts';
import { decideLevels } from './sql-path.ts';
import { type SampleSize, type TrainingPlan, type TrainingReport, trainModel, type Workshop } from './training.ts';
import { levelRarity, levelWeights, undecidedComparisons } from './weights.ts';
import { createPool, type Pool } from './workers.ts';
import { writeClusters } from './write-clusters.ts';
import { readPairs, type WriteOptions } from './write-pairs.ts';

export type LinkerOptions = {
  readonly db: Database;
  /** Table or view of records. */
  readonly table: string;
  readonly settings: LinkageSettings;
  /** When given, of the table only the settings' columns and these (which training rules read) are kept in memory; else all. */
  readonly columns?: readonly string[];
  readonly threads?: number;
  readonly progress?: Progress;
  /** A blocking rule is refused when one of its blocks alone holds more pairs. */
  readonly maxBlockPairs?: number;
};

/** So many records nearly always make enough pairs for several threads. */
const recordsWorthWorkers = 200_000;

/** Probabilistic linkage of one table (Fellegi and Sunter 1969). A resource: close it, or let `await using` do so. */
export class Linker implements AsyncDisposable {
  private model: LinkageSettings;
  private readonly encoder: Encoder;
  private readonly pool: Pool;
  private readonly progress: Progress;
  private readonly maxBlockPairs: number;
  private kernel: KernelData | undefined;
  /** Rules made ready, or under way. */
  private readonly rules = new Map<string, () => Promise<MadeRule>>();
  private readonly hasTextIds: boolean;
  private willPredict = false;

  private constructor(options: LinkerOptions, encoder: Encoder, { hasTextIds }: { readonly hasTextIds: boolean }) {
    this.model = options.settings;
    this.encoder = encoder;
    this.hasTextIds = hasTextIds;
    // While the database numbers values there is room for workers to start.
    const isReady = encoder.recordCount >= recordsWorthWorkers;
    this.pool = createPool({ isReady, ...(options.threads ? { threads: options.threads } : {}) });
    this.progress = options.progress ?? silent;
    this.maxBlockPairs = options.maxBlockPairs ?? 2e9;
  }

  /** @throws UserError for settings that do not fit the table, missing or repeated ids, an empty table */
  static async open(options: LinkerOptions): Promise<Linker> {
    const settings = parseSettings(options.settings);
    const columns = await options.db.describe(options.table).catch((cause: Error) => {
      const why = cause.message.split('\n')[0]!;
      throw new UserError('linkage.table', `linkage: table cannot be read: ${options.table}: ${why}`, { cause });
    });
    checkColumns(
      settings,
      columns.map(({ name }) => name),
    );
    const needed = options.columns && new Set([...settingsColumns(settings), ...options.columns].map((name) => name.toLowerCase()));
    const kept = columns.map(({ name }) => name).filter((name) => !needed || needed.has(name.toLowerCase()));
    const encoder = await Encoder.open(options.db, options.table, settings, kept);
    const id = columns.find(({ name }) => name.toLowerCase() === settings.uniqueId.toLowerCase());
    if (encoder.recordCount > 0) return new Linker(options, encoder, { hasTextIds: id?.type === 'VARCHAR' });
    await encoder.close();
    throw new UserError('linkage.empty', `linkage: table has no rows: ${options.table}; nothing to link`);
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

  /** View of the records with the number that pairs know them by as `__row`; there until the linker is closed. */
  get records(): string {
    return this.encoder.table;
  }

  /**
   * Pairs each blocking rule looks at by itself, exact, before anything is compared, and its largest blocks with what their records share.
   * A rule's `where`, unless it takes the database to ask it, is not asked yet: `countNewPairs([rule])` says how many pairs it leaves.
   */
  async countPairs(rules: readonly BlockingRule[] = this.model.blockingRules): Promise<readonly RuleCount[]> {
    const counts: RuleCount[] = [];
    for (const rule of rules) counts.push(await nameBlocks(this.encoder, rule, (await this.made(rule)).count));
    return counts;
  }

  /**
   * Pairs each rule adds to those of the rules before it, exact: one walk over all pairs, nothing compared.
   *
   * @throws UserError `linkage.block` when a block explodes
   */
  async countNewPairs(rules: readonly BlockingRule[] = this.model.blockingRules): Promise<readonly number[]> {
    const { data, pool, progress, pairSource } = await this.workshop(rules);
    const { source, pairs: total } = await pairSource(rules);
    const step = progress.step('linkage counting', { total, unit: 'pairs' });
    const added: number[] = [];
    for (const [place, rule] of rules.entries()) {
      const { pairs } = (await this.made(rule)).count;
      const job = { kind: 'count', active: [], rarity: [] } as const;
      const { counts } = await pool.run({ data, source: tasksOfRule(source, place), job, pairs, advance: step.advance });
      added.push(counts.reduce((sum, count) => sum + count, 0));
    }
    step.finish();
    return added;
  }

  /**
   * Estimates prior, u and m without labels.
   *
   * @returns what each EM session did, with a plain word on whether it converged
   */
  async train(plan: TrainingPlan): Promise<TrainingReport> {
    const rules = [...(plan.deterministicRules ?? []), ...plan.emRules, ...(this.willPredict ? this.model.blockingRules : [])];
    const { settings, report } = await trainModel(await this.workshop(rules), this.model, plan);
    this.model = settings;
    return report;
  }

  /**
   * Scores the pairs of all blocking rules and keeps those with a match probability of at least `threshold`.
   *
   * @throws UserError `linkage.block` when a block explodes
   */
  async predict({ threshold = 1e-4 }: { readonly threshold?: number } = {}): Promise<Candidates> {
    const workshop = await this.workshop(this.model.blockingRules);
    const { data, encoder } = workshop;
    const { source, pairs } = await workshop.pairSource(this.model.blockingRules);
    const step = this.progress.step('linkage scoring', { total: pairs, unit: 'pairs' });
    const least = threshold <= 0 ? Number.NEGATIVE_INFINITY : Math.log2(threshold / (1 - threshold));
    const undecided = undecidedComparisons(this.model);
    const [weights, rarity] = [levelWeights(this.model), levelRarity(this.model)];
    const prior = Math.log2(this.model.prior / (1 - this.model.prior));
    const job: KernelJob = { kind: 'score', weights, rarity, prior, threshold: least, undecided };
    const found = await this.pool.run({ data, source, job, pairs, advance: step.advance });
    const levels = [...found.levels];
    const { left, right, weight } = found;
    for (const c of undecided) {
      const decided = await decideLevels(encoder, this.model.comparisons[c]!, left, right);
      const shifts = rarityShifts(data, rarity)[c]!;
      for (let p = 0; p < weight.length; p++) {
        const shift = shifts[decided[p]!];
        weight[p]! += weights[c]![decided[p]!]! + (shift ? shiftOf(shift, left[p]!, right[p]!) : 0);
      }
      levels[c] = decided;
    }
    step.finish();
    const pick = <T extends Int32Array | Float64Array | Uint8Array>(values: T): T =>
      undecided.length > 0 ? (values.filter((_, p) => weight[p]! >= least) as T) : values;
    const kept = pick(left);
    return {
      count: kept.length,
      left: kept,
      right: pick(right),
      matchWeight: pick(weight),
      matchKey: pick(found.rule),
      gammas: this.model.comparisons.map((comparison, c) => {
        const gammas = Int8Array.from(gammasOf(comparison));
        const found = pick(levels[c]!);
        const written = sharedLike(gammas, found.length);
        for (let p = 0; p < found.length; p++) written[p] = gammas[found[p]!]!;
        return written;
      }),
    };
  }

  /** Says that pairs will be predicted and written: the rules are made ready and what names the records is read beside what comes first. */
  readAhead(): void {
    this.willPredict = true;
    if (this.hasTextIds) this.encoder.readAhead(this.encoder.nameValues(quote(this.model.uniqueId)));
  }

  /** Gives back the memory that training and prediction work with; they take it again when called again. */
  async rest(): Promise<void> {
    await this.pool.rest();
    this.kernel = undefined;
    this.rules.clear();
  }

  /** Writes pairs as Parquet with Splink's column names. */
  async writePairs(candidates: Candidates, file: string, options?: WriteOptions): Promise<void> {
    const write = await this.readPairs(candidates, options);
    await write(file);
  }

  /** Reads what `writePairs` writes; the function given writes it, and other things may be asked of this linker meanwhile. */
  readPairs(candidates: Candidates, options?: WriteOptions): Promise<WriteTable> {
    return readPairs(this.encoder, this.model, candidates, { threads: this.pool.threads, ...options });
  }

  /** Writes each record's cluster (a number per record) as Parquet: `cluster_id`, the name of its first record, and what names the record. */
  async writeClusters(cluster: Int32Array, file: string): Promise<void> {
    await writeClusters(this.encoder, this.model, cluster, file);
  }

  private async prepared(): Promise<KernelData> {
    this.kernel ??= await prepareKernel(this.encoder, this.model);
    return this.kernel;
  }

  /** What training and prediction work with; `rules` are those that they will want. */
  private async workshop(rules: readonly BlockingRule[]): Promise<Workshop> {
    const { encoder, pool, progress } = this;
    // Workers line up records by rule while this thread looks at values.
    await encoder.encode(codedExpressions(this.model));
    await this.beginRules(rules);
    return { data: await this.prepared(), encoder, pool, progress, pairSource: (rules, sample) => this.pairSource(rules, sample) };
  }

  private async beginRules(rules: readonly BlockingRule[]): Promise<void> {
    const wanted = new Map(rules.map((rule) => [JSON.stringify(rule), rule]));
    const ready = [...wanted].filter(([key, rule]) => !this.rules.has(key) && isReadyToMake(this.encoder, rule));
    const origin = await this.origin();
    const chores = await Promise.all(ready.map(([, rule]) => ruleChore(this.encoder, rule, origin)));
    this.pool.begin(chores).forEach((done, i) => {
      this.rules.set(ready[i]![0], async () => madeRule(await done()));
    });
  }

  /** Rules made ready, each once: training and prediction often use the same. */
  private async made(rule: BlockingRule): Promise<MadeRule> {
    const key = JSON.stringify(rule);
    const made = (await this.rules.get(key)?.()) ?? (await makeRule(this.encoder, rule, this.model, await this.origin()));
    this.rules.set(key, async () => made);
    return made;
  }

  /** Source of each record when pairs within one do not count. */
  private async origin(): Promise<Int32Array | undefined> {
    return this.model.linkType === 'link_only' ? (await this.encoder.codes(this.model.source!)).codes : undefined;
  }

  private async pairSource(
    rules: readonly BlockingRule[],
    { mostPairs = Number.POSITIVE_INFINITY, seed = 1 }: SampleSize = {},
  ): Promise<{ readonly source: PairSource; readonly pairs: number }> {
    const origin = await this.origin();
    const made: MadeRule[] = [];
    for (const rule of rules) {
      const one = await this.made(rule);
      await guardBlocks(this.encoder, rule, one.count, this.maxBlockPairs);
      made.push(one);
    }
    const pairs = made.reduce((sum, { count }) => sum + count.pairs, 0);
    const { sources, filterData } = await compileFilters(this.encoder, this.model, made);
    const sample = pairs > mostPairs ? { sample: { share: mostPairs / pairs, seed } } : {};
    return {
      source: createPairSource(sources, { ...(origin ? { origin } : {}), ...(filterData ? { filterData } : {}), ...sample }),
      pairs,
    };
  }
}
