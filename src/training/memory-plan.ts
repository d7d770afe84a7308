// Where the memory of a training run goes, before it starts. What a layer keeps and what its backward pass needs at once is read off the
// very graphs that will run, so the figures follow the model's shape, the batch and the storage of the weights.

import { UserError } from '../base/errors.ts';
import { backward } from '../graph/backward.ts';
import { bytesOf, peakBytes } from '../graph/memory.ts';
import { input } from '../graph/node.ts';
import type { ModelConfig } from '../models/config.ts';
import { decoderLayer, type LayerShape, linearNames, linearSizes } from '../models/decoder-layer.ts';
import { mixBytes } from '../models/fast-vocabulary.ts';
import { scoresAtOnce } from '../models/loss.ts';
import { bytesPerWeight } from '../models/storage.ts';

export type MemoryOptions = {
  readonly config: ModelConfig;
  /** The graph shape of each layer, for the largest batch. */
  readonly layers: readonly LayerShape[];
  /** Bytes of embedding and head in memory. */
  readonly vocabularyBytes: number;
  /** Numbers that are trained. */
  readonly trainedCount: number;
  readonly task: 'causal' | 'class';
  readonly precision: 'exact' | 'fast';
  readonly recompute: 'auto' | 'none' | 'all';
  /** Bytes this process may take. */
  readonly budget: number;
};

export type MemoryPlan = {
  /** From the top, how many layers keep their activations. */
  readonly keptLayers: number;
  /** Bytes by part, in the order they are shown. */
  readonly parts: Readonly<Record<MemoryPart, number>>;
  readonly total: number;
};

export const memoryParts = [
  'program',
  'weights',
  'vocabulary',
  'adapter and optimizer',
  'activations',
  'working memory',
  'logits',
] as const;
export type MemoryPart = (typeof memoryParts)[number];

/** Node, the runtime and their code. */
const programBytes = 200e6;

/**
 * Decides how many layers keep their activations, and adds everything up.
 *
 * @throws UserError `training.memory` where even recomputing everything does not fit; says what would help
 */
export function planMemory({
  config,
  layers,
  vocabularyBytes,
  trainedCount,
  task,
  precision,
  recompute,
  budget,
}: MemoryOptions): MemoryPlan {
  const figures = new Map<string, ReturnType<typeof layerFigures>>();
  const figuresOf = (shape: LayerShape) => {
    const key = JSON.stringify(shape);
    const found = figures.get(key) ?? layerFigures(config, shape);
    figures.set(key, found);
    return found;
  };
  const each = layers.map(figuresOf);
  const { rows, tokens } = layers[0]!;
  const hidden = rows * tokens * config.hiddenSize * 4;
  const byPart = (keptLayers: number): Record<MemoryPart, number> => {
    const kept = each.map(({ keptBytes }, i) => (i >= layers.length - keptLayers ? keptBytes : 0));
    const isAnyDropped = keptLayers < layers.length;
    return {
      program: programBytes,
      weights: layers.reduce((sum, shape) => sum + weightBytes(config, shape, precision), 0),
      vocabulary: vocabularyBytes + (precision === 'fast' && task === 'causal' ? mixBytes(config) : 0),
      // Values, gradients and two moments.
      'adapter and optimizer': 16 * trainedCount,
      activations: (layers.length + 2) * hidden + kept.reduce((sum, bytes) => sum + bytes, 0),
      'working memory': Math.max(...each.map(({ keptPeak, freshPeak }) => (isAnyDropped ? freshPeak : keptPeak))),
      // Scores and what is made of them, for as many as go through the head at once.
      logits: task === 'causal' ? 3 * 4 * Math.min(rows * tokens * config.vocabSize, scoresAtOnce) : 0,
    };
  };
  const total = (keptLayers: number) => Object.values(byPart(keptLayers)).reduce((sum, bytes) => sum + bytes, 0);
  let keptLayers = recompute === 'all' ? 0 : layers.length;
  if (recompute === 'auto') while (keptLayers > 0 && total(keptLayers) > budget) keptLayers -= 1;
  if (total(keptLayers) > budget) {
    throw new UserError(
      'training.memory',
      `training: not enough memory: needs ${gigabytes(total(keptLayers))}, may take ${gigabytes(budget)}; ${advice({ layers, tokens, rows, recompute })}`,
    );
  }
  return { keptLayers, parts: byPart(keptLayers), total: total(keptLayers) };
}

function advice({
  layers,
  tokens,
  rows,
  recompute,
}: {
  layers: readonly LayerShape[];
  tokens: number;
  rows: number;
  recompute: string;
}): string {
  const form = layers[0]!.forms['mlp.up_proj'].kind;
  if (form === 'f32' || form === 'f16') return 'quantize: nf4 makes the weights seven times smaller';
  if (recompute === 'none') return 'recompute: auto keeps fewer activations';
  if (rows > 1) return `a smaller batchSize (now ${rows}) with more accumulation`;
  return `a shorter maxLength (now ${tokens}) or a smaller model`;
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;

/** Bytes of a layer's linear weights, with the 8-bit copy the fast mode adds. */
function weightBytes(config: ModelConfig, { forms }: LayerShape, precision: 'exact' | 'fast'): number {
  const sizes = linearSizes(config);
  return linearNames.reduce((sum, name) => {
    const [out, inner] = sizes[name];
    return sum + out * inner * (bytesPerWeight(forms[name]) + (precision === 'fast' ? 1 : 0));
  }, 0);
}

/** What one layer keeps, and the most its backward pass holds at once with and without that. */
function layerFigures(config: ModelConfig, shape: LayerShape) {
  const { hidden, asked, output, kept, trained } = decoderLayer(config, shape);
  const keeps = [...kept.values()];
  const gradients = backward({
    outputs: new Map([[output, input('d.output', 'float32', output.shape)]]),
    targets: [...new Set([hidden, asked]), ...trained.values()],
  });
  return {
    keptBytes: keeps.reduce((sum, value) => sum + bytesOf(value), 0),
    keptPeak: Math.max(peakBytes(gradients, new Set(keeps)), peakBytes([output, ...keeps])),
    freshPeak: peakBytes(gradients),
  };
}
