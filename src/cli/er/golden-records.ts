import type { Command } from 'commander';
import { z } from 'zod';

import { goldenFiles, goldenRecords } from '../../apps/entity-resolution/golden-records.ts';
import { addPredictions, readCandidates } from '../../apps/entity-resolution/pairs.ts';
import { openSession } from '../../apps/entity-resolution/session.ts';
import { writeFolder } from '../../base/files.ts';
import { thousands } from '../../base/text.ts';
import { threadsOption, verb } from '../verb.ts';
import { chosenParameters, folderSchema, inOption, outOption, paramsOption, stageShape } from './options.ts';

const schema = z.strictObject({ ...stageShape, resolved: folderSchema, inferred: folderSchema });

/** `clinfuse er golden-records`: one row per patient, with provenance. */
export function goldenRecordsCommand(): Command {
  return verb({
    name: 'golden-records',
    summary: 'adds the evidence up, clusters, builds one record per patient',
    example: 'clinfuse er golden-records --in examples/data --resolved output/resolved --inferred output/inferred --out output/golden',
    options: [
      inOption,
      { flags: '--resolved <folder>', help: 'what resolve wrote', required: true },
      { flags: '--inferred <folder>', help: 'what infer wrote (or any predictions.parquet in the same format)', required: true },
      outOption,
      paramsOption,
      threadsOption,
    ],
    schema,
    run: async ({ in: folder, resolved, inferred, out, params, threads }, { progress }) => {
      const parameters = chosenParameters({ params });
      const { patients, metrics } = await writeFolder(out, { names: goldenFiles, inputs: [folder, resolved, inferred] }, async (place) => {
        await using session = await openSession(folder, { threads, progress });
        const pairs = await addPredictions(session.db, await readCandidates(session.db, resolved), inferred);
        return await goldenRecords(session, { pairs, parameters, out: place });
      });
      const scored = metrics
        ? `; pairwise F1 ${metrics.pairwise.f1.toFixed(4)}, ${metrics.split_patients} split, ${metrics.impure_clusters} mixed`
        : '';
      return { text: `${thousands(patients)} patients${scored}; ${out}`, json: { patients, ...(metrics && { metrics }) } };
    },
  });
}
