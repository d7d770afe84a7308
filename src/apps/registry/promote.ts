// The promotion stage: figures and candidate in, promotion_decision.json out. The registry decides; a tracking server is told afterwards.

import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';

import { fingerprint } from '../../base/content-hash.ts';
import { UserError } from '../../base/errors.ts';
import { writeJson } from '../../base/files.ts';
import { type PromotionDecision, promote } from '../../training/promotion.ts';
import { predictionsPath } from '../../training/registry.ts';
import { numberFromJson } from '../../training/run-events.ts';
import { checkPredictions, comparePredictions } from './compare-predictions.ts';

export type PromoteStageOptions = {
  readonly registry: string;
  readonly name: string;
  /** File or folder. */
  readonly candidate: string;
  /** JSON with `eval_*` figures. */
  readonly metrics: string;
  readonly metric: string;
  readonly higherIsBetter?: boolean | undefined;
  /** File or folder it was evaluated on; left out: what the metrics file says under `dataset`. */
  readonly dataset?: string | undefined;
  readonly run?: string | undefined;
  /** The candidate's answers one by one. */
  readonly predictions?: string | undefined;
  readonly acrossData: boolean;
  readonly out: string;
  readonly now: Date;
};

/**
 * Registers a candidate, decides, and writes the decision.
 *
 * @throws UserError `promotion.*`, `registry.*`, `predictions.*`
 */
export async function promoteStage(options: PromoteStageOptions): Promise<PromotionDecision> {
  const { registry, name, candidate, metric, higherIsBetter, run, predictions, acrossData, out, now } = options;
  const { figures, dataset } = readFigures(options.metrics);
  if (predictions !== undefined) await checkPredictions(predictions);
  const decision = await promote({
    registry,
    name,
    candidate,
    figures,
    metric,
    higherIsBetter,
    dataset: options.dataset === undefined ? dataset : await fingerprint(options.dataset),
    run,
    predictions,
    acrossData,
    time: now,
    compare: async (champion, challenger) => {
      const files = [predictionsPath(registry, challenger), predictionsPath(registry, champion)] as const;
      return files[0] && files[1] ? comparePredictions(files[0], files[1]) : undefined;
    },
  });
  await writeJson(out, decision);
  return decision;
}

const metricsFile = z.looseObject({ dataset: z.string().nullish() });

/** Figures of a metrics file: its `eval_*` numbers; where it has none, all its numbers, with `eval_` put before their names. */
function readFigures(file: string): { readonly figures: Readonly<Record<string, number>>; readonly dataset?: string | undefined } {
  if (!existsSync(file))
    throw new UserError('promotion.metrics', `promotion: file not found: ${file}; name a JSON file with eval_* figures`);
  let content: z.infer<typeof metricsFile>;
  try {
    content = metricsFile.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw new UserError('promotion.metrics', `promotion: not a JSON object of figures: ${file}; write {"eval_f1": 0.9, ...}`, { cause });
  }
  const numbers = Object.entries(content).flatMap(([key, value]) => {
    const number = numberFromJson.safeParse(value);
    return number.success ? [[key, number.data] as const] : [];
  });
  const named = numbers.filter(([key]) => key.startsWith('eval_'));
  const figures = named.length > 0 ? named : numbers.map(([key, value]) => [`eval_${key}`, value] as const);
  return { figures: Object.fromEntries(figures), dataset: content.dataset ?? undefined };
}
