import type { Command } from 'commander';
import { z } from 'zod';

import { championOf } from '../../training/promotion.ts';
import { modelNames, readVersions } from '../../training/registry.ts';
import { verb } from '../verb.ts';
import { registryOption, registrySchema } from './options.ts';

/** `clinfuse registry list`: models, their versions, the champions. */
export function listCommand(): Command {
  return verb({
    name: 'list',
    summary: 'registered models, their versions and champions',
    example: 'clinfuse registry list --registry models-registry',
    options: [registryOption],
    schema: z.strictObject({ registry: registrySchema }),
    run: async ({ registry }) => {
      const models = modelNames(registry).map((name) => {
        const champion = championOf(registry, name)?.version ?? null;
        return { name, champion, versions: readVersions(registry, name).map(({ version, time, figures }) => ({ version, time, figures })) };
      });
      const lines = models.flatMap(({ name, champion, versions }) => [
        name,
        ...versions.map(
          ({ version, time, figures }) =>
            `${version === champion ? ' *' : '  '} ${String(version).padStart(3)}  ${time.slice(0, 16).replace('T', ' ')}  ${figuresText(figures)}`,
        ),
      ]);
      return { text: lines.length > 0 ? [...lines, '* champion'].join('\n') : `no models in ${registry}`, json: { registry, models } };
    },
  });
}

/** `f1 0.995, loss 0.12`. */
export function figuresText(figures: Readonly<Record<string, number>>): string {
  return Object.entries(figures)
    .map(([key, value]) => `${key.replace(/^eval_/, '')} ${Number.isFinite(value) ? Number(value.toPrecision(5)) : value}`)
    .join(', ');
}
