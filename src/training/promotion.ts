// The promotion gate: does a challenger take the champion's place?
//
//   no champion yet                                          yes
//   the challenger's figure is not a number                  no
//   the challenger is the champion                           yes, nothing moves
//   both say what they were evaluated on, and it differs     no: such figures say nothing about each other
//   otherwise                                                yes when its figure is no worse; a tie is enough
//
// A figure that the champion lacks counts as the worst there is: 0, or infinity where less is better. Every challenger becomes a version
// of the registry, promoted or not, and the alias `champion` moves or stays; no file of either is written on. Answers one by one are
// compared by a paired test, which is told and decides nothing: with few examples it would let a better model wait for ever.
//
// The champion may change between looking and moving the alias. Then `moveAlias` refuses, and the challenger meets the new champion.

import { UserError } from '../base/errors.ts';
import { addVersion, type ModelVersion, moveAlias, type NewVersion, readAlias, readVersion } from './registry.ts';
import { isHigherBetter } from './training-settings.ts';

/** How two models' answers to the same questions differ; `pValue` of McNemar's exact test. */
export type PairedComparison = {
  readonly examples: number;
  readonly onlyChallengerRight: number;
  readonly onlyChampionRight: number;
  readonly pValue: number;
};

/** promotion_decision.json: first the five keys of the reference, then ours. */
export type PromotionDecision = {
  readonly promoted: boolean;
  readonly challenger_f1: number | null;
  readonly champion_f1: number | null;
  readonly model_version: number;
  /** The champion it met; null where there was none. */
  readonly champion_version: number | null;
  readonly name: string;
  readonly metric: string;
  readonly higher_is_better: boolean;
  readonly challenger: number | null;
  readonly champion: number | null;
  /** In words. */
  readonly reason: string;
  readonly challenger_dataset: string | null;
  readonly champion_dataset: string | null;
  /** null where either does not say what it was evaluated on. */
  readonly same_dataset: boolean | null;
  readonly challenger_sha256: string;
  readonly champion_sha256: string | null;
  readonly paired_test: PairedComparison | null;
  readonly time: string;
};

export const championAlias = 'champion';

export type PromoteOptions = NewVersion & {
  readonly registry: string;
  /** With or without `eval_`. */
  readonly metric: string;
  /** Left out: by the metric's name. */
  readonly higherIsBetter?: boolean | undefined;
  /** Compare figures though they come from different data. */
  readonly acrossData?: boolean;
  /** Compares the answers of both, one by one. */
  readonly compare?: ((champion: ModelVersion, challenger: ModelVersion) => Promise<PairedComparison | undefined>) | undefined;
};

/**
 * Registers a challenger and decides whether it becomes the champion.
 *
 * @throws UserError `promotion.metric` where the challenger has no such figure, and what `addVersion` may throw
 */
export async function promote(options: PromoteOptions): Promise<PromotionDecision> {
  const { registry, name, time, acrossData = false, compare } = options;
  const metric = options.metric.replace(/^eval_/, '');
  const higherIsBetter = isHigherBetter({ metric, higherIsBetter: options.higherIsBetter });
  const figure = `eval_${metric}`;
  if (!(figure in options.figures)) {
    throw new UserError(
      'promotion.metric',
      `promotion: no figure ${figure}; there are: ${Object.keys(options.figures).join(', ') || 'none'}`,
    );
  }
  const challenger = await addVersion(registry, options);
  for (;;) {
    const alias = readAlias(registry, name, championAlias);
    const champion = alias.version === undefined ? undefined : readVersion(registry, name, alias.version);
    const verdict = judge({ challenger, champion, figure, higherIsBetter, acrossData });
    const paired = champion && champion.version !== challenger.version ? await compare?.(champion, challenger) : undefined;
    const moves = verdict.promoted && champion?.version !== challenger.version;
    if (moves && !(await moveAlias(registry, { name, alias: championAlias, version: challenger.version, moves: alias.moves, time })))
      continue;
    return {
      promoted: verdict.promoted,
      challenger_f1: finite(challenger.figures['eval_f1']),
      champion_f1: finite(champion?.figures['eval_f1']),
      model_version: challenger.version,
      champion_version: champion?.version ?? null,
      name,
      metric,
      higher_is_better: higherIsBetter,
      challenger: finite(challenger.figures[figure]),
      champion: finite(champion?.figures[figure]),
      reason: paired ? `${verdict.reason}; ${pairedWords(paired)}` : verdict.reason,
      challenger_dataset: challenger.dataset,
      champion_dataset: champion?.dataset ?? null,
      same_dataset: champion ? sameDataset(challenger, champion) : null,
      challenger_sha256: challenger.sha256,
      champion_sha256: champion?.sha256 ?? null,
      paired_test: paired ?? null,
      time: time.toISOString(),
    };
  }
}

/**
 * The version that the alias `champion` points at, if any.
 *
 * @throws UserError `registry.damaged` where it points at a version that is gone
 */
export function championOf(registry: string, name: string): ModelVersion | undefined {
  const { version } = readAlias(registry, name, championAlias);
  return version === undefined ? undefined : readVersion(registry, name, version);
}

export type Contest = {
  readonly challenger: Pick<ModelVersion, 'version' | 'figures' | 'dataset'>;
  readonly champion?: Pick<ModelVersion, 'version' | 'figures' | 'dataset'> | undefined;
  /** Key among the figures. */
  readonly figure: string;
  readonly higherIsBetter: boolean;
  readonly acrossData: boolean;
};

/** The rule by itself: who wins, and why. */
export function judge({ challenger, champion, figure, higherIsBetter, acrossData }: Contest): {
  readonly promoted: boolean;
  readonly reason: string;
} {
  const ours = challenger.figures[figure] ?? Number.NaN;
  const said = `${figure} ${figureText(ours)}`;
  if (Number.isNaN(ours)) return { promoted: false, reason: `${said} is not a number` };
  if (!champion) return { promoted: true, reason: `${said}, the first champion` };
  if (champion.version === challenger.version) return { promoted: true, reason: `${said}, the champion already` };
  const same = sameDataset(challenger, champion);
  if (same === false && !acrossData) {
    const reason = `evaluated on other data than the champion (${short(challenger.dataset)}, ${short(champion.dataset)}): figures are not comparable; evaluate the champion on the same data, or compare across data`;
    return { promoted: false, reason };
  }
  const theirs = champion.figures[figure] ?? Number.NaN;
  const counted = Number.isNaN(theirs) ? (higherIsBetter ? 0 : Number.POSITIVE_INFINITY) : theirs;
  const promoted = higherIsBetter ? ours >= counted : ours <= counted;
  const words = ours === counted ? 'as good as' : promoted ? 'better than' : 'worse than';
  const lacking = Number.isNaN(theirs) ? ', which has no such figure: it counts as the worst' : '';
  const data = same === null ? '; not said whether on the same data' : same ? '' : '; on different data';
  return { promoted, reason: `${said} is ${words} version ${champion.version}’s ${figureText(counted)}${lacking}${data}` };
}

function sameDataset(a: Pick<ModelVersion, 'dataset'>, b: Pick<ModelVersion, 'dataset'>): boolean | null {
  return a.dataset === null || b.dataset === null ? null : a.dataset === b.dataset;
}

function pairedWords({ examples, onlyChallengerRight, onlyChampionRight, pValue }: PairedComparison): string {
  return `of ${examples} answers ${onlyChallengerRight} right where the champion is wrong, ${onlyChampionRight} the other way round (p ${pValue.toPrecision(2)})`;
}

const short = (dataset: string | null) => (dataset ?? 'not said').slice(0, 12);
const figureText = (value: number) => (Number.isFinite(value) ? String(Number(value.toPrecision(6))) : String(value));
/** JSON knows no NaN. */
const finite = (value: number | undefined) => (value === undefined || !Number.isFinite(value) ? null : value);
