import { UserError } from '../../base/errors.ts';
import type { Progress } from '../../base/progress.ts';
import { Linker, type LinkerOptions } from '../../linkage/linker.ts';
import type { LinkageSettings } from '../../linkage/settings.ts';
import type { TrainingPlan } from '../../linkage/training.ts';
import { Database } from '../../sql/duckdb.ts';
import { loadSources, peopleTable } from './records.ts';

/** What the stages of this application share. */
export type StageOptions = {
  readonly threads?: number | undefined;
  /** A blocking rule is refused when one of its blocks alone holds more pairs. */
  readonly maxBlockPairs?: number | undefined;
  readonly progress?: Progress;
  /** Is told what a user should know of the input, a line each. */
  readonly log?: (line: string) => void;
};

/** A DuckDB for one stage, with room for DuckDB to work in beside the kernel. */
export function openStore({ threads }: StageOptions): Promise<Database> {
  return Database.open({ memoryMb: 600, threads });
}

/** Reads files of records and opens their linkage. Close the linker before the database. */
export async function openLinker(
  db: Database,
  files: readonly string[],
  settings: LinkageSettings,
  { threads, maxBlockPairs, progress, log, columns }: StageOptions & Pick<LinkerOptions, 'columns'>,
): Promise<Linker> {
  await loadSources(db, files, settings, log);
  return Linker.open({
    db,
    table: peopleTable,
    settings,
    ...(columns ? { columns } : {}),
    ...(maxBlockPairs ? { maxBlockPairs } : {}),
    ...(threads ? { threads } : {}),
    ...(progress ? { progress } : {}),
  });
}

/** Comparisons that no level of which has m, or none u: they would say what Splink's defaults say, not what the data do. */
export function untrainedComparisons({ comparisons }: LinkageSettings): string[] {
  return comparisons
    .filter(({ levels }) => {
      const telling = levels.filter(({ isNull }) => !isNull);
      return telling.every(({ m }) => m === undefined) || telling.every(({ u }) => u === undefined);
    })
    .map(({ name }) => name);
}

/** True when some level lacks m or u. */
export function lacksParameters({ comparisons }: LinkageSettings): boolean {
  return comparisons.some(({ levels }) => levels.some(({ isNull, m, u }) => !isNull && (m === undefined || u === undefined)));
}

/** @throws UserError `linkage.training` for a plan that would estimate no m */
export function refuseIdle({ emRules, labels }: TrainingPlan, file: string): void {
  if (emRules.length > 0 || labels) return;
  throw new UserError(
    'linkage.training',
    `linkage: training block without em_rules or label_column: ${file}; give one, or m stays what it is`,
  );
}

/** @throws UserError `linkage.rule` for settings that would compare no pair */
export function refuseRuleless({ blockingRules }: LinkageSettings, file: string): void {
  if (blockingRules.length > 0) return;
  throw new UserError('linkage.rule', `linkage: no blocking rule: ${file}: no pair would be compared; add one`);
}

/** @throws UserError `linkage.untrained` */
export function refuseUntrained(settings: LinkageSettings): void {
  const [first] = untrainedComparisons(settings);
  if (first === undefined) return;
  throw new UserError(
    'linkage.untrained',
    `linkage: comparison without m or u: ${first}; give them, or add a training block (docs/linkage.md)`,
  );
}
