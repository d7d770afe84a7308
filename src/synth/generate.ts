// Makes people: runs real Synthea 3.3.0 and keeps its 18 CSV tables.
//
// Progress comes from Synthea's own output. It prints one line per finished life, and starts over until as many living people as
// asked for are there; so a population of 2,500 living comes with about 450 who have died:
//   2496 -- Anibal473 Crist667 (7 y/o M) Hull, Massachusetts  (9983)
//   2483 -- Fritz267 Hoeger474 (58 y/o M) Boston, Massachusetts DECEASED (146431)

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from '../base/errors.ts';
import { writeFolder } from '../base/files.ts';
import { type Progress, silent } from '../base/progress.ts';
import { tableNames } from '../records/tables.ts';
import { type Environment, findSynthea, lastWords, runSynthea } from './generate-run.ts';
import type { GenerateSettings } from './settings.ts';

export type GenerateReport = { readonly living: number; readonly dead: number };

/** Whether a line of Synthea's reports a finished life, and how it ended. */
export function finishedLife(line: string): 'living' | 'dead' | undefined {
  if (!/^\d+ -- .+ \(\d+ .+\) .*\(\d+\)\s*$/.test(line)) return undefined;
  return / DECEASED \(\d+\)\s*$/.test(line) ? 'dead' : 'living';
}

/**
 * Writes `output/csv/*.csv`. Whole or not at all.
 *
 * @param options.cache where Synthea itself is kept between runs
 * @param options.environment the environment of the programs started (PATH, JAVA_HOME, HOME ...)
 * @param options.onStart gets a function that stops Synthea, for the moment the user interrupts
 * @throws UserError when there is no way to run Synthea, or it fails: with its last lines
 */
export async function generate({
  output,
  settings,
  jar,
  cache,
  environment,
  progress = silent,
  onStart = () => {},
}: {
  readonly output: string;
  readonly settings: GenerateSettings;
  readonly jar?: string;
  readonly cache: string;
  readonly environment: Environment;
  readonly progress?: Progress;
  readonly onStart?: (stop: () => void) => void;
}): Promise<GenerateReport> {
  if (!/^[A-Za-z][A-Za-z .]*$/.test(settings.state)) {
    throw new UserError('generate.state', `generate: not a state: ${settings.state}; write it out, such as Massachusetts`);
  }
  return writeFolder(output, { names: ['csv'] }, async (folder) => {
    const work = join(folder, 'synthea');
    mkdirSync(work);
    const command = await findSynthea({ settings, output: work, cache, environment, ...(jar === undefined ? {} : { jar }) });
    const step = progress.step('generate', { total: settings.population, unit: 'people' });
    const count = { living: 0, dead: 0 };
    const heard: string[] = [];
    try {
      await runSynthea(command, {
        environment,
        folder: work,
        onStart,
        onLine: (line) => {
          const life = finishedLife(line);
          if (life) count[life] += 1;
          if (life === 'living') step.advance(1);
          else if (!life && heard.push(line) > 40) heard.shift();
        },
      });
    } finally {
      step.finish();
    }
    const csv = join(work, 'csv');
    const written = existsSync(csv) ? readdirSync(csv) : [];
    const lacking = tableNames.find((table) => !written.includes(`${table}.csv`));
    // It ends with exit 0 even when it knows no such state.
    if (lacking !== undefined || count.living === 0) {
      throw new UserError('generate.failed', `generate: Synthea made no people of ${settings.state}: ${lastWords(heard.join('\n'))}`);
    }
    renameSync(csv, join(folder, 'csv'));
    rmSync(work, { recursive: true, force: true });
    return count;
  });
}
