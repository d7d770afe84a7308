import type { Command } from 'commander';
import { z } from 'zod';

import { loadEvidenceModel } from '../../apps/entity-resolution/infer.ts';
import { resolve, resolvedFiles } from '../../apps/entity-resolution/resolve.ts';
import { openSession } from '../../apps/entity-resolution/session.ts';
import { writeFolder } from '../../base/files.ts';
import { thousands } from '../../base/text.ts';
import { threadsOption, verb } from '../verb.ts';
import { chosenParameters, demographicsOption, inOption, modelOption, modelShape, outOption, paramsOption } from './options.ts';

const schema = z.strictObject(modelShape);

/** `clinfuse er resolve`: candidate pairs, auto-matches and the gray zone. */
export function resolveCommand(): Command {
  return verb({
    name: 'resolve',
    summary: 'candidate pairs by probabilistic linkage: auto-matches, gray zone with summaries',
    example: 'clinfuse er resolve --in examples/data --out output/resolved',
    options: [inOption, outOption, modelOption, demographicsOption, paramsOption, threadsOption],
    schema,
    run: async ({ in: folder, out, model, threads, ...rest }, { progress }) => {
      const parameters = chosenParameters(rest);
      const evidence = loadEvidenceModel(model);
      const metrics = await writeFolder(out, { names: resolvedFiles, inputs: [folder] }, async (place) => {
        await using session = await openSession(folder, { threads, progress });
        return (await resolve(session, { parameters, model: evidence, out: place })).metrics;
      });
      const count = (name: string) => thousands(metrics[name] ?? 0);
      return {
        text: `${count('num_records')} records, ${count('candidate_pairs')} candidate pairs: ${count('auto_match_count')} auto-matches, ${count('gray_zone_count')} in the gray zone; ${out}`,
        json: metrics,
      };
    },
  });
}
