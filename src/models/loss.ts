// The loss of a batch and, for training, its gradient on the last layer's output. Only places that count go through the head: targets
// that are masked cost nothing. Of a class batch the last layer gives no more than the last tokens.

import { backward } from '../graph/backward.ts';
import { expand, scalar } from '../graph/node.ts';
import { writeModel } from '../graph/onnx-proto.ts';
import { openSession, type Session } from '../graph/session.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import type { Value } from '../graph/value.ts';
import type { Batch, CausalBatch, ClassBatch } from './batch.ts';
import { dense, expandRows, toFloat32 } from './expand.ts';
import { isMixed, mixedRows, mixTensors } from './fast-vocabulary.ts';
import { causalHead, classHead } from './head.ts';
import { type LanguageModel, takeRows } from './language-model.ts';
import { runnable } from './resident.ts';
import { meanRow, rowParts } from './row-parts.ts';
import type { StoredTensor } from './stored-tensor.ts';
import { formOf, weightTensors } from './weight.ts';

export type LossOptions = {
  /** Share of the target spread over all classes or words. */
  readonly labelSmoothing?: number;
  /** Weight of each class, in order. */
  readonly classWeights?: readonly number[];
  /** Gradients by 8-bit products with the vocabulary. */
  readonly isFast?: boolean;
};

export type HeadResult = {
  /** Sum of losses times weights. */
  readonly lossSum: number;
  /** [rows, labels], for class batches. */
  readonly logits?: Float32Array;
  /** Of lossSum / denominator on the last layer's output, of its shape; in training only. */
  readonly gradient?: Tensor;
  /** Of the same on the classification head, [labels, hidden]. */
  readonly scoreGradient?: Float32Array;
};

export type Head = {
  /** Sum of the weights of everything in the batch that is counted. */
  readonly weightOf: (batch: Batch) => number;
  /** @param denominator given in training: the gradients are those of lossSum / denominator */
  readonly run: (batch: Batch, hidden: Tensor, denominator?: number) => Promise<HeadResult>;
  readonly close: () => Promise<void>;
};

/** Rows of the vocabulary scored at once, and numbers of scores held at once, 64 MB: more places than that go through the head in turns. */
const partSize = 4096;
export const scoresAtOnce = 1 << 24;

/** The head of a model; `model.adapter.saved` may hold the classification head that is trained. */
export function lossHead(model: LanguageModel, options: LossOptions = {}): Head {
  const causal = causalLoss(model, options);
  const classes = classLoss(model, options);
  const of = (batch: Batch) => (batch.kind === 'causal' ? causal : classes);
  return {
    weightOf: (batch) => of(batch).weightOf(batch),
    run: (batch, hidden, denominator) => of(batch).run(batch, hidden, denominator),
    close: async () => {
      await causal.close();
      await classes.close();
    },
  };
}

function causalLoss({ config, resident, sessionOptions }: LanguageModel, { labelSmoothing = 0, ...options }: LossOptions): Head {
  const isFast = options.isFast === true && isMixed(config);
  const counted = ({ targets }: CausalBatch): Int32Array => Int32Array.from(targets.keys()).filter((at) => targets[at]! >= 0);
  // Made when a causal batch first comes: a classifier never needs the vocabulary as a matrix.
  let made: ReturnType<typeof vocabularyInputs> | undefined;
  const vocabulary = () => (made ??= vocabularyInputs(runnable(resident.head), { labelSmoothing, isFast }));
  const sessions = twoSessions((isTraining) => {
    const parts = vocabulary().parts.map((part) => ({ form: formOf(part), size: part.shape[0]! }));
    const { losses, gradient } = causalHead(config, { parts, labelSmoothing, isFast });
    return isTraining
      ? writeModel({ outputs: { 'd.hidden': gradient, losses }, stored: Object.assign({}, ...(vocabulary().mix ?? [])) })
      : writeModel({ outputs: { losses } });
  }, sessionOptions);
  return {
    weightOf: (batch) => counted(batch as CausalBatch).length,
    close: sessions.close,
    run: async (batch, { data }, denominator) => {
      const { targets } = batch as CausalBatch;
      const places = counted(batch as CausalBatch);
      const width = config.hiddenSize;
      const gradient = denominator === undefined ? undefined : new Float32Array(data.length);
      const session = await sessions.open(denominator !== undefined);
      const { head, parts, tensors, mix } = vocabulary();
      const turn = Math.max(1, Math.floor(scoresAtOnce / parts[0]!.shape[0]!));
      let lossSum = 0;
      for (let from = 0; from < places.length; from += turn) {
        const rows = places.subarray(from, from + turn);
        const labels = rows.map((at) => targets[at]!);
        const { losses, 'd.hidden': found } = await session.run({
          hidden: tensor('float32', [rows.length, width], takeRows(data as Float32Array, rows, width)),
          chosen: tensor('float32', [rows.length, width], expandRows(head, labels)),
          norm: resident.norm,
          weights: tensor('float32', [rows.length, 1], new Float32Array(rows.length).fill(1 / (denominator ?? 1))),
          ...(gradient &&
            mix && {
              rounded: tensor(
                'float32',
                [rows.length, width],
                mixedRows(mix, labels, { size: parts[0]!.shape[0]!, mean: tensors['mean']!.data as Float32Array }),
              ),
            }),
          ...tensors,
        });
        for (const loss of losses!.data as Float32Array) lossSum += loss;
        if (gradient) putRows(gradient, rows, { width, values: found!.data as Float32Array });
      }
      return { lossSum, ...(gradient && { gradient: tensor('float32', [data.length / width, width], gradient) }) };
    },
  };
}

/** What every run of the causal head is given: the vocabulary in parts, and its mean row where that is asked for. */
function vocabularyInputs(head: StoredTensor, { labelSmoothing, isFast }: { readonly labelSmoothing: number; readonly isFast: boolean }) {
  const parts = rowParts(head, partSize);
  const mean = labelSmoothing > 0 || isFast ? meanRow(toFloat32(head), head.shape[1]!) : undefined;
  const tensors: Record<string, Tensor> = mean ? { mean } : {};
  for (const [i, part] of parts.entries()) Object.assign(tensors, weightTensors(`lm_head.${i}`, part));
  /** What the fast mode's graph stores. */
  const mix = isFast && mean ? parts.map((part, i) => mixTensors(`lm_head.${i}`, dense(part), mean.data)) : undefined;
  return { head, parts, tensors, mix };
}

function classLoss(model: LanguageModel, { labelSmoothing = 0, classWeights }: LossOptions): Head {
  const { config, resident, adapter, sessionOptions } = model;
  const score = () => {
    const found = adapter.saved.get('score.weight') ?? resident.score;
    if (!found) throw new Error('model: no classification head');
    return found;
  };
  const weightOfLabel = (label: number) => classWeights?.[label] ?? 1;
  const sessions = twoSessions((isTraining) => {
    const { hidden, score: values, logits, losses, total } = classHead(config, score().shape[0]!);
    const [gradient, scoreGradient] = isTraining ? backward({ outputs: new Map([[total, unit(total)]]), targets: [hidden, values] }) : [];
    return writeModel({ outputs: { logits, losses, ...(gradient && { 'd.hidden': gradient, 'd.score': scoreGradient! }) } });
  }, sessionOptions);
  return {
    weightOf: (batch) => (batch as ClassBatch).labels.reduce((sum, label) => sum + weightOfLabel(label), 0),
    close: sessions.close,
    run: async (batch, hidden, denominator) => {
      const { labels, rows } = batch as ClassBatch;
      const { shape, data: values } = score();
      const classes = shape[0]!;
      const target = new Float32Array(rows * classes).fill(labelSmoothing / classes);
      for (const [row, label] of labels.entries()) target[row * classes + label]! += 1 - labelSmoothing;
      const session = await sessions.open(denominator !== undefined);
      const {
        logits,
        losses,
        'd.hidden': found,
        'd.score': scoreGradient,
      } = await session.run({
        hidden,
        norm: resident.norm,
        score: tensor('float32', shape, values),
        target: tensor('float32', [rows, classes], target),
        weights: tensor(
          'float32',
          [rows, 1],
          Float32Array.from(labels, (label) => weightOfLabel(label) / (denominator ?? 1)),
        ),
      });
      let lossSum = 0;
      for (const [row, loss] of (losses!.data as Float32Array).entries()) lossSum += loss * weightOfLabel(labels[row]!);
      const result = { lossSum, logits: logits!.data as Float32Array };
      return found ? { ...result, gradient: found, scoreGradient: scoreGradient!.data as Float32Array } : result;
    },
  };
}

/** A session to evaluate with and one to train with, each compiled when first asked for. */
function twoSessions(build: (isTraining: boolean) => ReturnType<typeof writeModel>, options: LanguageModel['sessionOptions']) {
  const made = new Map<boolean, Promise<Session>>();
  return {
    open: (isTraining: boolean): Promise<Session> => {
      const session = made.get(isTraining) ?? openSession(build(isTraining), options);
      made.set(isTraining, session);
      return session;
    },
    close: async () => {
      for (const session of made.values()) await (await session).close();
    },
  };
}

function putRows(
  target: Float32Array,
  rows: Int32Array,
  { width, values }: { readonly width: number; readonly values: Float32Array },
): void {
  for (const [i, row] of rows.entries()) target.set(values.subarray(i * width, (i + 1) * width), row * width);
}

/** The gradient of the sum of a value's numbers on the value itself. */
const unit = (total: Value): Value => expand(scalar(1), total.shape);
