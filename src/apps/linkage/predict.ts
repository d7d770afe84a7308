import { writeFile } from '../../base/files.ts';
import { readModelFile, refuseSamePlace } from './input.ts';
import { openLinker, openStore, refuseRuleless, refuseUntrained, type StageOptions } from './session.ts';

export type PredictOptions = StageOptions & {
  readonly files: readonly string[];
  /** A trained Splink model; a `training` block in it is not used. */
  readonly modelFile: string;
  readonly out: string;
  readonly threshold: number;
};

/** Writes the pairs of records by a trained model as it stands. */
export async function predict({ files, modelFile, out, threshold, ...stage }: PredictOptions): Promise<{
  readonly records: number;
  readonly pairs: number;
}> {
  refuseSamePlace([...files, modelFile], [out]);
  const { settings } = readModelFile(modelFile);
  refuseRuleless(settings, modelFile);
  refuseUntrained(settings);
  await using db = await openStore(stage);
  await using linker = await openLinker(db, files, settings, { ...stage, columns: [] });
  linker.readAhead();
  const pairs = await linker.predict({ threshold });
  await linker.rest();
  await writeFile(out, (place) => linker.writePairs(pairs, place));
  return { records: linker.recordCount, pairs: pairs.count };
}
