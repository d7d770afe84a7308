import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { z } from 'zod';

import { UserError } from '../../base/errors.ts';
import { emHistoryChart } from '../../charts/em-history.ts';
import type { ChartComparison } from '../../charts/match-weights.ts';
import type { ChartSpec } from '../../charts/render.ts';
import { describeLevel } from '../../linkage/describe-level.ts';
import { readModelFile } from './input.ts';
import { refuseUntrained } from './session.ts';

/** What the charts of a model show: its levels with m and u, in its order. */
export function modelOf(file: string): {
  readonly prior: number;
  readonly comparisons: readonly ChartComparison[];
  readonly source: string;
} {
  const { settings } = readModelFile(file);
  refuseUntrained(settings);
  const comparisons = settings.comparisons.map((comparison) => ({
    name: comparison.name,
    levels: comparison.levels.map(({ isNull, m, u }, level) => ({
      label: describeLevel(comparison, level),
      ...(m === undefined ? {} : { m }),
      ...(u === undefined ? {} : { u }),
      ...(isNull ? { isNull } : {}),
    })),
  }));
  return { prior: settings.prior, comparisons, source: `From ${basename(file)}. Missing values count for nothing and are left out.` };
}

const history = z.object({
  rule: z.string(),
  pairs: z.number(),
  iterations: z.number(),
  converged: z.boolean(),
  lastChange: z.number(),
  history: z.object({
    prior: z.array(z.number()),
    comparisons: z.array(
      z.object({ name: z.string(), levels: z.array(z.object({ label: z.string(), weights: z.array(z.number().nullable()) })) }),
    ),
  }),
});
const report = z.object({ sessions: z.array(history).min(1) });
/** `link train --json`, or `link dedupe --json`, which trains on the way. */
const reportFile = z.union([report, z.object({ training: report }).transform(({ training }) => training)]);

/** The history of EM, from what training printed. */
export function historyOf(file: string): ChartSpec {
  if (!existsSync(file))
    throw new UserError('chart.report', `chart: file not found: ${file}; make it with clinfuse link train --json > ${file}`);
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new UserError('chart.report', `chart: not JSON: ${file}; make it with clinfuse link train --json > ${file}`, { cause });
  }
  const parsed = reportFile.safeParse(json);
  if (!parsed.success) {
    throw new UserError('chart.report', `chart: no EM history in ${file}; make it with clinfuse link train --json > ${file}`);
  }
  const sessions = parsed.data.sessions.map(({ history: { prior, comparisons }, ...session }) => ({ ...session, prior, comparisons }));
  return emHistoryChart({
    sessions,
    source: `From ${basename(file)}. Lines begin at the start values; the model takes the median of what the sessions ended with.`,
  });
}
