import type { Command } from 'commander';
import { z } from 'zod';

import { duration, thousands } from '../../base/text.ts';
import { parseSettings, present, readConfigFile } from '../../synth/config.ts';
import { injectErrors } from '../../synth/inject-errors.ts';
import { injectSettings } from '../../synth/settings.ts';
import { threadsOption, verb } from '../verb.ts';
import {
  blockKeys,
  blockOptions,
  blockSettings,
  configOption,
  folderKeys,
  folderOptions,
  folders,
  maybeThreads,
  optionalNumber,
  threadsKey,
} from './synth-options.ts';

/** `clinfuse er inject-errors`: damage the patient rows of a run folder, with the truth beside. */
export function injectErrorsCommand(): Command {
  return verb({
    name: 'inject-errors',
    summary: 'damage patient rows as registration desks do, and keep the ground truth',
    example: 'clinfuse er inject-errors --in output/segmented --out output/augmented --error-seed 99',
    options: [
      ...folderOptions('run folder that segment wrote', 'run folder to write (facilities/, metadata/, statistics/); replaced whole'),
      { flags: '--error-seed <number>', help: 'what goes wrong where (default: 99)' },
      { flags: '--min-errors <count>', help: 'fewest attempts on a record that gets several (default: 8)' },
      { flags: '--max-errors <count>', help: 'most attempts (default: 12)' },
      { flags: '--error-weights <json>', help: 'weight of each kind of error, summing to 1: {"name_variation": 0.35, ...}' },
      { flags: '--timestamp <time>', help: 'written into the error log, so that runs can be repeated', default: '2026-01-01T00:00:00' },
      { flags: '--no-validate', help: 'leave out the check that every row points at something' },
      ...blockOptions('augment'),
      configOption,
      threadsOption,
    ],
    schema: z.strictObject({
      ...folderKeys,
      ...threadsKey,
      ...blockKeys,
      errorSeed: optionalNumber,
      minErrors: optionalNumber,
      maxErrors: optionalNumber,
      errorWeights: z.string().optional(),
      timestamp: z.string().refine((text) => !Number.isNaN(Date.parse(text)), { message: 'not a time such as 2026-01-01T00:00:00' }),
      validate: z.boolean(),
      config: z.string().optional(),
    }),
    run: async (
      { threads, errorSeed, minErrors, maxErrors, errorWeights, timestamp, validate, block, params, config, ...named },
      { progress },
    ) => {
      const start = performance.now();
      const { input, output } = folders('inject-errors', named);
      const file = config ? readConfigFile(config) : { inject: {}, validate: true };
      const flags = present({ error_seed: errorSeed, min_errors: minErrors, max_errors: maxErrors, error_weights: errorWeights });
      const said = { ...flags, ...present({ config }) };
      const settings =
        blockSettings('augment', { verb: 'inject-errors', block, params, flags: said })?.inject ??
        parseSettings(injectSettings, { ...file.inject, ...flags }, config ?? 'the options given');
      const report = await injectErrors({
        input,
        output,
        settings,
        timestamp,
        validate: validate && file.validate,
        progress,
        ...maybeThreads(threads),
      });
      const seconds = (performance.now() - start) / 1000;
      const { mean_changes: mean, records_unchanged: unchanged } = report.achieved;
      return {
        text: `${thousands(report.total_error_transformations)} real changes in ${thousands(report.total_patient_facility_pairs)} records (mean ${mean.toFixed(1)}; ${thousands(unchanged)} records unchanged) in ${duration(seconds)}; ${output}`,
        json: { output, ...report, seconds },
      };
    },
  });
}
