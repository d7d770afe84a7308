import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';

import { promoteStage } from '../../../apps/registry/promote.ts';
import { mirrorDecision } from '../../registry/mirror.ts';
import { registryOption, registrySchema } from '../../registry/options.ts';
import { verb } from '../../verb.ts';

const schema = z.strictObject({ train: z.string().min(1), registry: registrySchema });

/** What the reference registers its classifiers under. */
const name = 'medgemma-entity-resolution';

/** `clinfuse er llm promote`: `registry promote` for what `er llm train` leaves. */
export function promoteCommand(): Command {
  return verb({
    name: 'promote',
    summary: 'lets a trained classifier be the champion if its F1 is no worse',
    example: 'clinfuse er llm promote --train output/training/train',
    options: [
      { flags: '--train <folder>', help: 'what er llm train wrote; promotion_decision.json goes there', required: true },
      registryOption,
    ],
    schema,
    run: async ({ train, registry }, { log }) => {
      const predictions = join(train, 'validation_predictions.parquet');
      const decision = await promoteStage({
        ...{ registry, name, candidate: join(train, 'adapter'), metrics: join(train, 'training_metrics.json'), metric: 'f1' },
        ...(existsSync(predictions) && { predictions }),
        ...{ acrossData: false, out: join(train, 'promotion_decision.json'), now: new Date() },
      });
      await mirrorDecision(registry, log);
      const { promoted, model_version: version, reason } = decision;
      return { text: `${name} version ${version} ${promoted ? 'is the champion' : 'is not promoted'}: ${reason}`, json: decision };
    },
  });
}
