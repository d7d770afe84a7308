// ClinFuse as a program to compare with DVC, called within this process.

import { UserError } from '../../src/base/errors.ts';
import type { Outcome, StageReport } from '../../src/pipeline/run.ts';
import { repro } from '../../src/pipeline/run.ts';
import { status, statusJson } from '../../src/pipeline/status.ts';
import type { Report } from './observe.ts';

/** What can be asked of either program, in the folder of a dvc.yaml. */
export type Program = {
  readonly repro: (folder: string, words: readonly string[]) => Promise<Report>;
  /** Names of changed stages; null where the program refuses. */
  readonly changed: (folder: string) => Promise<readonly string[] | null>;
};

export const inProcess: Program = {
  async repro(folder, words) {
    const targets = words.filter((word) => !word.startsWith('--'));
    const has = (flag: string) => words.includes(flag);
    const how = { force: has('--force'), singleItem: has('--single-item'), downstream: has('--downstream'), dry: has('--dry') };
    const environment = { ...process.env, SHELL: '/bin/sh' };
    try {
      const { stages, failed } = await repro({ folder, targets, ...how, environment, since: '2026-11-21T00:00:00Z' });
      return reportOf(stages, failed.length === 0);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return reportOf([], false);
    }
  },

  async changed(folder) {
    try {
      return Object.keys(statusJson(await status({ folder }))).sort();
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return null;
    }
  },
};

/** Our report in the words of the comparison: a stage that failed has run if it had a reason to. */
export function reportOf(stages: readonly Pick<StageReport, 'stage' | 'outcome' | 'reason'>[], ok: boolean): Report {
  const names = (...outcomes: readonly Outcome[]) =>
    stages.flatMap(({ stage, outcome, reason }) => (outcomes.includes(outcome) && reason !== '' ? [stage] : [])).sort();
  return { ok, ran: names('ran', 'failed', 'would run'), restored: names('restored'), skipped: names('up to date') };
}
