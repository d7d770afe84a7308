import { Command } from 'commander';

import { evidenceTrainCommand } from './er/evidence-train.ts';
import { explainCommand } from './er/explain.ts';
import { generateCommand } from './er/generate.ts';
import { ingestCommand } from './er/ingest.ts';
import { injectErrorsCommand } from './er/inject-errors.ts';
import { reportCommand } from './er/report.ts';
import { segmentCommand } from './er/segment.ts';
import { summaryCommand } from './er/summary.ts';

/** Entity resolution: which records at different facilities are the same patient? */
export function erCommand(): Command {
  const area = new Command('er').description('Entity resolution: which records at different facilities are the same patient?');
  area.addCommand(generateCommand());
  area.addCommand(ingestCommand());
  area.addCommand(segmentCommand());
  area.addCommand(injectErrorsCommand());
  area.addCommand(summaryCommand());
  area.addCommand(evidenceTrainCommand());
  area.addCommand(explainCommand());
  area.addCommand(reportCommand());
  return area;
}
