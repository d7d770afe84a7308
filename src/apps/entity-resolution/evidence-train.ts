// Trains the evidence model on a run folder with ground truth, and measures it honestly: on patients it has not seen, on other
// populations, and with parts of the evidence taken away. Then fits it once more on everybody and writes model and card.

import { basename, dirname, join } from 'node:path';

import { UserError } from '../../base/errors.ts';
import { writeText } from '../../base/files.ts';
import { type Progress, silent, timed } from '../../base/progress.ts';
import { truePairCount } from '../../evaluation/pairwise.ts';
import { type PairRules, strictRules } from '../../evidence/fusion.ts';
import { type EvidenceModel, writeEvidenceModel } from '../../evidence/model-file.ts';
import { patientFolds } from '../../evidence/train.ts';
import { type Ablation, ablations } from './evidence-ablations.ts';
import { modelCard } from './evidence-card.ts';
import { type EvidenceData, loadEvidenceData } from './evidence-data.ts';
import { fitEvidence } from './evidence-fit.ts';
import { type Measured, measureEvidence, type NamedFigures, type TrainingFigures } from './evidence-measure.ts';

/** Share of the patients kept aside for the figures: one in four. */
const heldOutFolds = 4;

export type TrainEvidenceOptions = {
  /** Run folder with metadata/ground_truth.parquet. */
  readonly folder: string;
  /** Model file to write; the card goes beside it with the ending .md. */
  readonly out: string;
  readonly seed: number;
  /** Also fit without parts of the evidence, to say what each is worth. */
  readonly withAblations?: boolean;
  /** Other run folders with truth to test the final model on. */
  readonly testFolders?: readonly string[];
  /** Random pairs of two patients that the clinical model learns from. */
  readonly otherPairs?: number;
  /** As typed, for the card. */
  readonly command: string;
  readonly threads?: number | undefined;
  readonly progress?: Progress;
};

/**
 * Trains, measures and writes the model and its card.
 *
 * @throws UserError for a folder without truth, or too few patients to keep some aside
 */
export async function trainEvidence(options: TrainEvidenceOptions): Promise<TrainingFigures> {
  const { folder, out, seed, withAblations = false, testFolders = [], otherPairs = 100_000, command, threads, progress = silent } = options;
  const data = await loadEvidenceData(folder, { threads, progress });
  if (data.patientCount < 50) {
    throw new UserError('evidence.too-few', `evidence: too few patients to learn from: ${data.patientCount}; use at least some hundreds`);
  }
  const others: EvidenceData[] = [];
  for (const path of testFolders) others.push(await loadEvidenceData(path, { threads, progress }));
  const study: Study = { data, others, seed, otherPairs };
  const measured = async (name: string, ablation?: Ablation) => (await timed(progress, name, () => measureHeldOut(study, ablation))).result;
  const { figures: heldOut } = await measured('fit and measure, patient split');
  const without: TrainingFigures['ablations'][number][] = [];
  for (const ablation of withAblations ? ablations : []) {
    without.push({ name: ablation.name, ...(await measured(`without ${ablation.name}`, ablation)) });
  }
  const { result: fitted } = await timed(progress, 'fit on all patients', () =>
    fitEvidence({ data, seed, rules: strictRules, otherPairs }),
  );
  const model: EvidenceModel = { ...fitted, metadata: metadataOf(data, { seed, command }) };
  const figures = {
    data: {
      name: nameOf(folder),
      damage: data.damage,
      records: data.recordCount,
      patients: data.patientCount,
      truePairs: truePairCount(data.patients),
    },
    seed,
    command,
    heldOut,
    ablations: without,
    others: measureOthers(study, model),
  };
  await writeEvidenceModel(out, model);
  await writeText(out.replace(/(\.json)?$/, '.md'), modelCard(figures));
  return figures;
}

type Study = {
  readonly data: EvidenceData;
  readonly others: readonly EvidenceData[];
  readonly seed: number;
  readonly otherPairs: number;
};

/** Fits on three quarters of the patients; measures on the rest and, without a part of the evidence, on the other populations. */
function measureHeldOut(study: Study, ablation?: Ablation): { readonly figures: Measured; readonly others: readonly NamedFigures[] } {
  const { seed, otherPairs } = study;
  const data = ablation?.change?.(study.data, seed) ?? study.data;
  const rules: PairRules = { ...strictRules, ...ablation?.rules };
  const fold = patientFolds(data.patients, { folds: heldOutFolds, seed: seed + 1 });
  const fitted = fitEvidence({
    data,
    seed,
    rules,
    otherPairs,
    learns: (record) => fold[record] !== 0,
    ...(ablation?.hidden ? { hidden: ablation.hidden } : {}),
  });
  const model = { ...fitted, metadata: {} };
  return {
    figures: measureEvidence({ model, data, rules, seed, tests: (record) => fold[record] === 0 }),
    others: ablation ? measureOthers(study, model, ablation) : [],
  };
}

function measureOthers({ others, seed }: Study, model: EvidenceModel, ablation?: Ablation): NamedFigures[] {
  const rules: PairRules = { ...strictRules, ...ablation?.rules };
  return others.map((other) => {
    const data = ablation?.change?.(other, seed) ?? other;
    return { name: nameOf(other.path), damage: other.damage, figures: measureEvidence({ model, data, rules, seed }) };
  });
}

/** `runs/train/augmented` says more than `augmented`. */
function nameOf(path: string): string {
  return join(basename(dirname(path)), basename(path));
}

function metadataOf(data: EvidenceData, { seed, command }: { readonly seed: number; readonly command: string }) {
  return {
    data: nameOf(data.path),
    damage: data.damage,
    records: data.recordCount,
    patients: data.patientCount,
    truePairs: truePairCount(data.patients),
    seed,
    command,
  };
}
