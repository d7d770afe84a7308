import { Command } from 'commander';

import { convertCommand } from './llm/convert.ts';
import { evaluateCommand } from './llm/evaluate.ts';
import { generateCommand } from './llm/generate.ts';
import { infoCommand } from './llm/info.ts';
import { mergeCommand } from './llm/merge.ts';
import { pullCommand } from './llm/pull.ts';
import { pushCommand } from './llm/push.ts';
import { quantizeCommand } from './llm/quantize.ts';
import { trainCommand } from './llm/train.ts';

/** Language models: open, run, fine-tune, merge, rewrite, share. */
export function llmCommand(): Command {
  const area = new Command('llm').description('Language models: open, run, fine-tune, merge, rewrite, share');
  const verbs = [
    infoCommand(),
    generateCommand(),
    trainCommand(),
    evaluateCommand(),
    mergeCommand(),
    quantizeCommand(),
    convertCommand(),
    pullCommand(),
    pushCommand(),
  ];
  for (const one of verbs) area.addCommand(one);
  return area;
}
