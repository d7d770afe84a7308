import { Command } from 'commander';

import { prepareDatasetCommand } from './llm/prepare-dataset.ts';
import { trainCommand } from './llm/train.ts';

/** The language model for the gray zone, from questions to predictions. */
export function erLlmCommand(): Command {
  const area = new Command('llm').description('A language model for the gray zone: prepare, train, promote, export, infer');
  for (const one of [prepareDatasetCommand(), trainCommand()]) area.addCommand(one);
  return area;
}
