import type { Command } from 'commander';
import { z } from 'zod';

import { infer, loadEvidenceModel } from '../../apps/entity-resolution/infer.ts';
import { readCandidates } from '../../apps/entity-resolution/pairs.ts';
import { openSession } from '../../apps/entity-resolution/session.ts';
import { writeFolder } from '../../base/files.ts';
import { thousands } from '../../base/text.ts';
import { threadsOption, verb } from '../verb.ts';
import { chosenParameters, folderSchema, inOption, modelOption, outOption, paramsOption, stageShape } from './options.ts';

const schema = z.strictObject({ ...stageShape, resolved: folderSchema, model: z.string().min(1) });

/** `clinfuse er infer`: clinical evidence for every candidate pair. */
export function inferCommand(): Command {
  return verb({
    name: 'infer',
    summary: 'weighs the clinical histories of candidate pairs',
    example: 'clinfuse er infer --in examples/data --resolved output/resolved --out output/inferred',
    options: [
      inOption,
      { flags: '--resolved <folder>', help: 'what resolve wrote', required: true },
      outOption,
      modelOption,
      paramsOption,
      threadsOption,
    ],
    schema,
    run: async ({ in: folder, resolved, out, model, threads, params }, { progress }) => {
      const parameters = chosenParameters({ params });
      const evidence = loadEvidenceModel(model);
      const metrics = await writeFolder(
        out,
        { names: ['predictions.parquet', 'inference_metrics.json'], inputs: [folder, resolved] },
        async (place) => {
          await using session = await openSession(folder, { threads, progress });
          const pairs = await readCandidates(session.db, resolved);
          return (await infer(session, { pairs, model: evidence, parameters, out: place })).metrics;
        },
      );
      return {
        text: `${thousands(metrics.examples)} pairs weighed, ${thousands(Math.round(metrics.throughput))} pairs/s; ${out}`,
        json: metrics,
      };
    },
  });
}
