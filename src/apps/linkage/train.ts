import { UserError } from '../../base/errors.ts';
import { writeJson } from '../../base/files.ts';
import { toSplinkJson } from '../../linkage/splink-json.ts';
import type { TrainingReport } from '../../linkage/training.ts';
import { readModelFile, refuseSamePlace } from './input.ts';
import { openLinker, openStore, type StageOptions } from './session.ts';

export type TrainOptions = StageOptions & { readonly files: readonly string[]; readonly settingsFile: string; readonly out: string };

/**
 * Estimates a model's prior, u and m on records and writes it as a Splink model, which Splink loads as well.
 *
 * @throws UserError `linkage.training` for settings without a `training` block
 */
export async function train({ files, settingsFile, out, ...stage }: TrainOptions): Promise<TrainingReport> {
  refuseSamePlace([...files, settingsFile], [out]);
  const { settings, plan } = readModelFile(settingsFile);
  if (plan === undefined) {
    throw new UserError('linkage.training', `linkage: no training block in ${settingsFile}; add one with em_rules (docs/linkage.md)`);
  }
  await using db = await openStore(stage);
  await using linker = await openLinker(db, files, settings, stage);
  const report = await linker.train(plan);
  await writeJson(out, toSplinkJson(linker.settings));
  return report;
}
