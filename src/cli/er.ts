import { Command } from 'commander';

import { evaluateBaselinesCommand } from './er/evaluate-baselines.ts';
import { evidenceTrainCommand } from './er/evidence-train.ts';
import { explainCommand } from './er/explain.ts';
import { generateCommand } from './er/generate.ts';
import { goldenRecordsCommand } from './er/golden-records.ts';
import { inferCommand } from './er/infer.ts';
import { ingestCommand } from './er/ingest.ts';
import { injectErrorsCommand } from './er/inject-errors.ts';
import { reportCommand } from './er/report.ts';
import { resolveCommand } from './er/resolve.ts';
import { runCommand } from './er/run.ts';
import { segmentCommand } from './er/segment.ts';
import { summaryCommand } from './er/summary.ts';

/** Entity resolution: which records at different facilities are the same patient? The language model's verbs are loaded unless another is `called`. */
export async function erCommand(called?: string): Promise<Command> {
  const area = new Command('er').description('Entity resolution: which records at different facilities are the same patient?');
  const verbs = [
    runCommand(),
    resolveCommand(),
    inferCommand(),
    goldenRecordsCommand(),
    evaluateBaselinesCommand(),
    reportCommand(),
    explainCommand(),
    summaryCommand(),
    generateCommand(),
    ingestCommand(),
    segmentCommand(),
    injectErrorsCommand(),
    evidenceTrainCommand(),
  ];
  for (const one of verbs) area.addCommand(one);
  if (!verbs.some((one) => one.name() === called)) area.addCommand((await import('./er/llm.ts')).erLlmCommand());
  return area;
}
