import type { Command } from 'commander';
import { z } from 'zod';

import { duration, thousands } from '../../base/text.ts';
import { parseSettings, present, readConfigFile } from '../../synth/config.ts';
import { segment } from '../../synth/segment.ts';
import { segmentSettings } from '../../synth/settings.ts';
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

/** `clinfuse er segment`: one population's records spread over facilities. */
export function segmentCommand(): Command {
  return verb({
    name: 'segment',
    summary: 'spread one population’s records over facilities, with look-alike pairs',
    example: 'clinfuse er segment --in output/parquet --out output/segmented --assignment-seed 99',
    options: [
      ...folderOptions('folder that ingest wrote', 'run folder to write (facilities/, metadata/); replaced whole'),
      { flags: '--assignment-seed <number>', help: 'who goes where (default: 99)' },
      { flags: '--confusable-pct <percent>', help: 'look-alike pairs in percent of the patients (default: 5)' },
      { flags: '--facilities <count>', help: 'number of facilities (default: 5)' },
      ...blockOptions('augment'),
      configOption,
      threadsOption,
    ],
    schema: z.strictObject({
      ...folderKeys,
      ...threadsKey,
      ...blockKeys,
      assignmentSeed: optionalNumber,
      confusablePct: optionalNumber,
      facilities: optionalNumber,
      config: z.string().optional(),
    }),
    run: async ({ threads, assignmentSeed, confusablePct, facilities, block, params, config, ...named }, { progress }) => {
      const start = performance.now();
      const { input, output } = folders('segment', named);
      const flags = present({ assignment_seed: assignmentSeed, confusable_pct: confusablePct, num_facilities: facilities });
      const said = { ...flags, ...present({ config }) };
      const settings =
        blockSettings('augment', { verb: 'segment', block, params, flags: said })?.segment ??
        parseSettings(segmentSettings, { ...(config ? readConfigFile(config).segment : {}), ...flags }, config ?? 'the options given');
      const report = await segment({ input, output, settings, progress, ...maybeThreads(threads) });
      const seconds = (performance.now() - start) / 1000;
      return {
        text: `${thousands(report.patients)} patients, ${thousands(report.records)} records at ${settings.facilities} facilities, ${thousands(report.lookAlikePairs)} look-alike pairs in ${duration(seconds)}; ${output}`,
        json: { output, ...report, seconds },
      };
    },
  });
}
