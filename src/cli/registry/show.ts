import type { Command } from 'commander';
import { z } from 'zod';

import { UserError } from '../../base/errors.ts';
import { championOf } from '../../training/promotion.ts';
import { damagedFiles, predictionsPath, readVersion, versionPath } from '../../training/registry.ts';
import { countOption } from '../option-schemas.ts';
import { verb } from '../verb.ts';
import { figuresText } from './list.ts';
import { registryOption, registrySchema } from './options.ts';

/** `clinfuse registry show`: one version, its files checked against their hashes. */
export function showCommand(): Command {
  return verb({
    name: 'show',
    argument: { name: 'model', help: 'registered model' },
    summary: 'one version of a model: where its files are, figures, whether they are intact',
    example: 'clinfuse registry show evidence',
    options: [{ flags: '--number <version>', help: 'default: the champion' }, registryOption],
    schema: z.strictObject({ model: z.string('name a model'), number: countOption.optional(), registry: registrySchema }),
    run: async ({ model, number, registry }) => {
      const version = number === undefined ? championOf(registry, model) : readVersion(registry, model, number);
      if (!version)
        throw new UserError('registry.champion', `registry: ${model} has no champion in ${registry}; see clinfuse registry list`);
      const damaged = await damagedFiles(registry, version);
      if (damaged.length > 0) {
        throw new UserError(
          'registry.damaged',
          `registry: ${model} version ${version.version}: ${damaged[0]} is not what was registered; restore it, or promote another version`,
        );
      }
      const path = versionPath(registry, version);
      const isChampion = championOf(registry, model)?.version === version.version;
      const lines = [
        `${model} version ${version.version}${isChampion ? ', the champion' : ''}`,
        `Files      ${path} (${version.files.length}, as registered)`,
        `Figures    ${figuresText(version.figures)}`,
        `From       ${version.source}, ${version.time}`,
        `Data       ${version.dataset ?? 'not said'}`,
        `Run        ${version.run ?? 'not said'}`,
      ];
      return {
        text: lines.join('\n'),
        json: { ...version, path, predictionsPath: predictionsPath(registry, version) ?? null, isChampion },
      };
    },
  });
}
