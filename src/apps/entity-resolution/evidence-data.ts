import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

import { UserError } from '../../base/errors.ts';
import { type Progress, silent, timed } from '../../base/progress.ts';
import { buildDemographics, type Demographics } from '../../evidence/demographics.ts';
import { buildProfiles, type Profiles } from '../../evidence/profile.ts';
import type { Pairs } from '../../evidence/score.ts';
import type { RunFolder } from '../../records/run-folder.ts';
import { loadTruth, truthLabels } from '../../records/truth.ts';
import { proposeCandidates } from './evidence-candidates.ts';
import { openSession } from './session.ts';

/** All that training and its measurements look at in one run folder; the truth is only a label. */
export type EvidenceData = {
  readonly path: string;
  /** How the records were damaged, as far as the run folder says: "3 to 5 errors". */
  readonly damage: string;
  readonly recordCount: number;
  /** True patient of each record. */
  readonly patients: Int32Array;
  readonly patientCount: number;
  readonly demographics: Demographics;
  readonly profiles: Profiles;
  /** Pairs worth a look by demographics, with the unsupervised match weight (log2) of each. */
  readonly candidates: Pairs & { readonly matchWeight: Float64Array };
};

/**
 * Reads a run folder with ground truth.
 *
 * @throws UserError `evidence.no-truth`, `evidence.truth-incomplete`
 */
export async function loadEvidenceData(
  path: string,
  { threads, progress = silent }: { readonly threads?: number | undefined; readonly progress?: Progress } = {},
): Promise<EvidenceData> {
  await using session = await openSession(path, { threads, progress });
  const { db, folder, recordCount } = session;
  if (!(await loadTruth(db, folder))) {
    throw new UserError(
      'evidence.no-truth',
      `evidence: no metadata/ground_truth.parquet in ${path}; training needs a run folder with truth`,
    );
  }
  const patients = await truthLabels(db);
  const unknown = patients.filter((patient) => patient < 0).length;
  if (unknown > 0) {
    throw new UserError(
      'evidence.truth-incomplete',
      `evidence: records without truth: ${unknown} of ${recordCount}: ${path}; make the data again`,
    );
  }
  const { result: demographics } = await timed(progress, 'demographics', () => buildDemographics(db));
  const { result: profiles } = await timed(progress, 'clinical profiles', () => buildProfiles(db));
  const { result: candidates } = await timed(progress, 'candidates', () => proposeCandidates(session));
  return {
    path,
    damage: damageOf(folder),
    recordCount,
    patients,
    patientCount: new Set(patients).size,
    demographics,
    profiles,
    candidates,
  };
}

const runConfig = z.object({ error_injection: z.object({ min_errors: z.number(), max_errors: z.number() }) });

function damageOf({ path }: RunFolder): string {
  const file = join(path, 'metadata', 'run_config.yaml');
  // The reference system's files carry tags of Python objects, which are of no concern here.
  const found = existsSync(file) ? runConfig.safeParse(parse(readFileSync(file, 'utf8'), { logLevel: 'silent' })) : undefined;
  if (!found?.success) return 'damage not on record';
  return `${found.data.error_injection.min_errors} to ${found.data.error_injection.max_errors} errors`;
}
