import { Command } from 'commander';

import { cascadeCommand } from './llm/cascade.ts';
import { exportCommand } from './llm/export.ts';
import { fitCascadeCommand } from './llm/fit-cascade.ts';
import { inferCommand } from './llm/infer.ts';
import { prepareBaseCommand } from './llm/prepare-base.ts';
import { prepareDatasetCommand } from './llm/prepare-dataset.ts';
import { promoteCommand } from './llm/promote.ts';
import { trainCommand } from './llm/train.ts';

/** The language model for the gray zone, from questions to predictions. */
export function erLlmCommand(): Command {
  const area = new Command('llm').description('A language model for the gray zone: prepare, train, promote, export, infer');
  for (const one of [
    prepareDatasetCommand(),
    prepareBaseCommand(),
    trainCommand(),
    promoteCommand(),
    exportCommand(),
    inferCommand(),
    fitCascadeCommand(),
    cascadeCommand(),
  ])
    area.addCommand(one);
  return area;
}
