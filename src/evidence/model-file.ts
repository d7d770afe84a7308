// The evidence model as one JSON file: both learned models, how they were calibrated, and what they were trained on.
//
// Written with sorted content and no clock, so that the same training gives the same bytes. Read through a schema: a file that is
// damaged, of another kind, or made for other features is refused in one line before any pair is scored.

import { readFileSync } from 'node:fs';
import { z } from 'zod';

import { UserError } from '../base/errors.ts';
import { writeText } from '../base/files.ts';
import type { Calibration } from './calibrate.ts';
import { type ClinicalStatistics, clinicalStatisticsSchema } from './clinical-statistics.ts';
import { demographicFeatureNames } from './demographic-features.ts';
import { clinicalFeatureNames } from './features.ts';
import { parseTrees, type SerializedTrees, serializeTrees, type Trees } from './trees.ts';

/** One learned scorer: trees to log-odds, then calibrated log-odds among pairs in which a match has `trainingLogOdds`. */
export type PairScorer = {
  readonly featureNames: readonly string[];
  readonly trees: Trees;
  readonly calibration: Calibration;
  /** ln(matches / others) among the pairs it was fitted on. */
  readonly trainingLogOdds: number;
};

export type EvidenceModel = {
  /** What it was trained on, for the reader of the file: data, seed, command, counts. */
  readonly metadata: Readonly<Record<string, string | number>>;
  /** Records in the training data: the learned prior belongs to that size. */
  readonly trainingRecords: number;
  readonly demographic: PairScorer;
  readonly clinical: PairScorer;
  /** What the clinical features know about the training population. */
  readonly statistics: ClinicalStatistics;
};

const format = 'clinfuse-evidence';
const version = 1;

const numbers = z.array(z.number());
const calibrationSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('platt'), slope: z.number().positive(), intercept: z.number() }),
  z
    .object({ kind: z.literal('isotonic'), scores: numbers.min(1), logOdds: numbers.min(1) })
    .refine((curve) => curve.scores.length === curve.logOdds.length, { message: 'scores and logOdds differ in length' }),
]);
const scorerSchema = z.object({
  featureNames: z.array(z.string()),
  trainingLogOdds: z.number(),
  calibration: calibrationSchema,
  trees: z.object({
    featureCount: z.int().positive(),
    baseScore: z.number(),
    trees: z.array(z.object({ feature: numbers, threshold: numbers, missingLeft: z.string(), value: numbers })),
  }),
});
const modelSchema = z.object({
  format: z.literal(format),
  version: z.literal(version),
  metadata: z.record(z.string(), z.union([z.string(), z.number()])),
  trainingRecords: z.int().positive(),
  demographic: scorerSchema,
  clinical: scorerSchema,
  statistics: clinicalStatisticsSchema,
});

/**
 * Reads a model file and checks that it speaks of the features this version computes.
 *
 * @throws UserError `model.missing`, `model.damaged`, `model.features`
 */
export function readEvidenceModel(path: string): EvidenceModel {
  const parsed = modelSchema.safeParse(readJson(path));
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new UserError(
      'model.damaged',
      `model: not an evidence model of version ${version}: ${path}: ${issue.path.join('.') || 'file'}: ${issue.message}; train one with clinfuse er evidence-train`,
    );
  }
  const { metadata, trainingRecords, demographic, clinical, statistics } = parsed.data;
  return {
    metadata,
    trainingRecords,
    demographic: readScorer(path, 'demographic', demographic, demographicFeatureNames),
    clinical: readScorer(path, 'clinical', clinical, clinicalFeatureNames),
    statistics,
  };
}

/** Writes the model in one step; the same model gives the same bytes. */
export function writeEvidenceModel(path: string, model: EvidenceModel): Promise<void> {
  const { metadata, trainingRecords, demographic, clinical, statistics } = model;
  const file = {
    format,
    version,
    metadata,
    trainingRecords,
    demographic: storedScorer(demographic),
    clinical: storedScorer(clinical),
    statistics,
  };
  return writeText(path, `${JSON.stringify(file)}\n`);
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    if (cause instanceof SyntaxError)
      throw new UserError('model.damaged', `model: not JSON: ${path}; name an evidence model file`, { cause });
    if (/ENOENT|EISDIR|ENOTDIR|EACCES/.test((cause as NodeJS.ErrnoException).code ?? '')) {
      throw new UserError('model.missing', `model: cannot be read: ${path}; name an evidence model file`, { cause });
    }
    throw cause;
  }
}

function readScorer(path: string, name: string, stored: z.infer<typeof scorerSchema>, expected: readonly string[]): PairScorer {
  const { featureNames, trees, calibration, trainingLogOdds } = stored;
  if (featureNames.join() !== expected.join() || trees.featureCount !== expected.length) {
    throw new UserError(
      'model.features',
      `model: made for other ${name} features: ${path}; train it again with clinfuse er evidence-train`,
    );
  }
  try {
    return { featureNames, trees: parseTrees(trees satisfies SerializedTrees), calibration, trainingLogOdds };
  } catch (cause) {
    throw new UserError('model.damaged', `model: ${name}: ${(cause as Error).message}: ${path}`, { cause });
  }
}

function storedScorer({ featureNames, trees, calibration, trainingLogOdds }: PairScorer): z.infer<typeof scorerSchema> {
  const { featureCount, baseScore, trees: list } = serializeTrees(trees);
  return {
    featureNames: [...featureNames],
    trainingLogOdds,
    calibration:
      calibration.kind === 'platt'
        ? { ...calibration }
        : { ...calibration, scores: [...calibration.scores], logOdds: [...calibration.logOdds] },
    trees: {
      featureCount,
      baseScore,
      trees: list.map((tree) => ({ ...tree, feature: [...tree.feature], threshold: [...tree.threshold], value: [...tree.value] })),
    },
  };
}
