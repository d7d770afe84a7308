import { allAtRest } from '../../base/all-at-rest.ts';
import { UserError } from '../../base/errors.ts';
import { explainWriteFault, writeFile } from '../../base/files.ts';
import { planColumns, type TrainingReport } from '../../linkage/training.ts';
import { type ClusterCounts, writeClusters } from './clusters.ts';
import { type ModelFile, readModelFile, refuseSamePlace } from './input.ts';
import { lacksParameters, openLinker, openStore, refuseIdle, refuseRuleless, refuseUntrained, type StageOptions } from './session.ts';

export type DedupeOptions = StageOptions & {
  /** Records: Parquet, CSV or JSON lines; a source each where there are several. */
  readonly files: readonly string[];
  /** Splink model JSON, with a `training` block where parameters are to be estimated. */
  readonly settingsFile: string;
  readonly out: string;
  /** Least match probability of a pair that is written. */
  readonly threshold: number;
  readonly clusters?: { readonly file: string; readonly threshold: number };
};

export type DedupeResult = {
  readonly records: number;
  readonly pairs: number;
  readonly prior: number;
  /** Absent when the settings came with their parameters. */
  readonly training?: TrainingReport;
  readonly clusters?: ClusterCounts;
};

/**
 * Finds the pairs of records that may be one person, training the model first where it has gaps and says how. Both outputs appear
 * when both are whole.
 *
 * @throws UserError for files, settings or thresholds that cannot be used
 */
export async function dedupe({ files, settingsFile, out, threshold, clusters, ...stage }: DedupeOptions): Promise<DedupeResult> {
  if (clusters && clusters.threshold < threshold) {
    throw new UserError(
      'linkage.threshold',
      `linkage: cluster threshold below the pairs': ${clusters.threshold} < ${threshold}; lower the threshold of the pairs, too`,
    );
  }
  refuseSamePlace([...files, settingsFile], [out, ...(clusters ? [clusters.file] : [])]);
  const { settings, plan }: ModelFile = readModelFile(settingsFile);
  refuseRuleless(settings, settingsFile);
  const trains = plan !== undefined && lacksParameters(settings);
  if (trains) refuseIdle(plan, settingsFile);
  else refuseUntrained(settings);

  await using db = await openStore(stage);
  // Labels may be any column, and a mistyped one is to be answered with the nearest.
  const columns = plan?.labels ? {} : { columns: plan ? planColumns(plan) : [] };
  await using linker = await openLinker(db, files, settings, { ...stage, ...columns });
  linker.readAhead();
  const training = trains ? await linker.train(plan) : undefined;
  const pairs = await linker.predict({ threshold });
  await linker.rest();
  const writePairs = await linker.readPairs(pairs);
  const counts = await writeFile(out, async (pairsFile) => {
    const write = () =>
      writePairs(pairsFile).catch((cause) => {
        throw explainWriteFault(cause, out);
      });
    if (clusters === undefined) return write().then(() => undefined);
    const { file, threshold } = clusters;
    // Both at once: by themselves, clusters are one thread's work.
    return writeFile(file, async (place) => (await allAtRest([write(), writeClusters(linker, { pairs, threshold }, place)]))[1]);
  });
  return {
    records: linker.recordCount,
    pairs: pairs.count,
    prior: linker.settings.prior,
    ...(training ? { training } : {}),
    ...(counts ? { clusters: counts } : {}),
  };
}
