import { join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';

import { duration, thousands } from '../../base/text.ts';
import { parseSettings, present } from '../../synth/config.ts';
import { generate } from '../../synth/generate.ts';
import { generateSettings } from '../../synth/settings.ts';
import { cacheFolder } from '../cache-folder.ts';
import { verb } from '../verb.ts';
import { blockKeys, blockOptions, blockSettings, optionalNumber } from './synth-options.ts';

/** `clinfuse er generate`: people made by real Synthea. */
export function generateCommand(): Command {
  return verb({
    name: 'generate',
    summary: 'make people with Synthea 3.3.0: the same seed gives the same people',
    example: 'clinfuse er generate --population 2500 --seed 67890 --out output/synthea',
    options: [
      { flags: '--out <folder>', help: 'where csv/ goes; replaced whole when Synthea ends well', required: true },
      { flags: '--population <count>', help: 'living people (default: 2500); the dead come on top' },
      { flags: '--seed <number>', help: 'who they are (default: 67890)' },
      { flags: '--state <name>', help: 'where they live (default: Massachusetts)' },
      ...blockOptions('generate'),
      { flags: '--synthea-jar <file>', help: 'Synthea’s release jar (default: SYNTHEA_JAR; else Maven, else docker fetches it)' },
    ],
    schema: z.strictObject({
      out: z.string().min(1),
      population: optionalNumber,
      seed: optionalNumber,
      state: z.string().min(1).optional(),
      ...blockKeys,
      syntheaJar: z.string().min(1).optional(),
    }),
    run: async ({ out, population, seed, state, block, params, syntheaJar }, { progress }) => {
      const start = performance.now();
      const flags = present({ population, seed, state });
      const settings =
        blockSettings('generate', { verb: 'generate', block, params, flags }) ??
        parseSettings(generateSettings, flags, 'the options given');
      const jar = syntheaJar ?? (process.env['SYNTHEA_JAR'] || undefined);
      const { living, dead } = await generate({
        output: out,
        settings,
        cache: join(cacheFolder(), 'synthea-3.3.0'),
        environment: process.env,
        progress,
        onStart: stopWithUs,
        ...(jar === undefined ? {} : { jar }),
      });
      const seconds = (performance.now() - start) / 1000;
      return {
        text: `${thousands(living)} living and ${thousands(dead)} dead people of ${settings.state} in ${duration(seconds)}; ${join(out, 'csv')}`,
        json: { output: join(out, 'csv'), living, dead, seconds },
      };
    },
  });
}

/** Synthea ends when we do; on Ctrl-C before the half-written folder is removed, or it would write on into it. */
function stopWithUs(stop: () => void): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.prependListener(signal, stop);
  process.once('exit', stop);
}
