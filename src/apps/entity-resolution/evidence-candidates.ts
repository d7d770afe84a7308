import type { Pairs } from '../../evidence/score.ts';
import { clinicalRecordSettings, clinicalRecordTraining } from '../../linkage/presets.ts';
import type { Session } from './session.ts';
import { resolveSettings } from './settings.ts';
import { trainedLinker } from './trained-linker.ts';

/** The models learn from pairs down to this match probability, so that a user may lower the threshold this far. */
const widest = 1e-4;

/** The candidates that `resolve` would propose by default or more, with the unsupervised match weight (log2) of each. */
export async function proposeCandidates(session: Session): Promise<Pairs & { readonly matchWeight: Float64Array }> {
  const threshold = Math.min(widest, resolveSettings.parse({}).predict_threshold);
  await using linker = await trainedLinker(session, clinicalRecordSettings, clinicalRecordTraining);
  const { left, right, matchWeight } = await linker.predict({ threshold });
  return { left, right, matchWeight };
}
