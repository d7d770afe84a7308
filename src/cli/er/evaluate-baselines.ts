import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';

import { baselineFiles, evaluateBaselines } from '../../apps/entity-resolution/evaluate-baselines.ts';
import { readCandidates } from '../../apps/entity-resolution/pairs.ts';
import { openSession } from '../../apps/entity-resolution/session.ts';
import { UserError } from '../../base/errors.ts';
import { writeFolder } from '../../base/files.ts';
import type { EvaluationMetrics } from '../../evaluation/evaluation-metrics.ts';
import { loadTruth } from '../../records/truth.ts';
import { threadsOption, verb } from '../verb.ts';
import { chosenParameters, folderSchema, inOption, outOption, paramsOption, stageShape } from './options.ts';

const schema = z.strictObject({ ...stageShape, resolved: folderSchema, golden: folderSchema });

/** `clinfuse er evaluate-baselines`: what demographics alone give on the same records. */
export function evaluateBaselinesCommand(): Command {
  return verb({
    name: 'evaluate-baselines',
    summary: 'scores demographics alone on the same records (needs ground truth)',
    example: 'clinfuse er evaluate-baselines --in examples/data --resolved output/resolved --golden output/golden --out output/baselines',
    options: [
      inOption,
      { flags: '--resolved <folder>', help: 'what resolve wrote', required: true },
      { flags: '--golden <folder>', help: 'what golden-records wrote', required: true },
      outOption,
      paramsOption,
      threadsOption,
    ],
    schema,
    run: async ({ in: folder, resolved, golden, out, params, threads }, { progress }) => {
      const parameters = chosenParameters({ params });
      const metricsFile = join(golden, 'evaluation_metrics.json');
      if (!existsSync(metricsFile)) {
        throw new UserError(
          'stage.missing',
          `golden: file not found: ${metricsFile}; run golden-records on a run folder with ground truth`,
        );
      }
      const metrics = JSON.parse(readFileSync(metricsFile, 'utf8')) as EvaluationMetrics;
      const comparison = await writeFolder(out, { names: baselineFiles, inputs: [folder, resolved, golden] }, async (place) => {
        await using session = await openSession(folder, { threads, progress });
        await loadTruth(session.db, session.folder);
        const pairs = await readCandidates(session.db, resolved);
        return await evaluateBaselines(session, { pairs, metrics, parameters, out: place });
      });
      const rows = Object.entries(comparison.scenarios).map(
        ([name, { pair_metrics }]) => `${name.padEnd(20)} F1 ${(pair_metrics as { f1_score: number }).f1_score.toFixed(4)}`,
      );
      return { text: rows.join('\n'), json: comparison };
    },
  });
}
