// Examples to batches. Rows of like length go together, so that little is padding, and padded lengths are whole multiples, so that few
// shapes occur (each shape of a batch costs the runtime a session).
//
// An epoch's order is a pure function of seed and epoch: shuffle the examples; sort them by padded length, longest first, ties staying
// shuffled; cut into batches; shuffle the batches. Any batch can be made without those before it, which is all that resuming needs.
// Since the sort is over the whole epoch, there is at most one shape for each padded length, and one more for the last, smaller batch.
//
// Worked case: lengths 3 60 31 33, two a batch, multiple 32: padded 32 64 32 64, so the batches are {60, 33} at 64 and {3, 31} at 32.
// Cost: O(n log n) an epoch.

import { UserError } from '../base/errors.ts';
import { random } from '../base/random.ts';
import { thousands } from '../base/text.ts';
import type { Batch, CausalBatch, ClassBatch } from '../models/batch.ts';
import type { Example } from './examples.ts';

export type CollateOptions = {
  /** Most rows of a batch. */
  readonly batchSize?: number | undefined;
  /** Most tokens of a batch, padding included. At least one of the two is given. */
  readonly batchTokens?: number | undefined;
  /** Padded lengths are multiples of this. */
  readonly multiple?: number | undefined;
  /** Padded lengths are no longer than this. */
  readonly contextLength?: number | undefined;
  readonly seed: number;
  /** What stands in the padding; never counted. */
  readonly padId?: number | undefined;
};

/** The batches of one epoch, made when asked for. */
export type BatchList = {
  readonly length: number;
  readonly at: (index: number) => Batch | undefined;
  /** Which examples batch `index` holds, row by row. */
  readonly examplesOf: (index: number) => readonly number[];
};

export type CollateReport = {
  readonly examples: number;
  readonly batches: number;
  /** Without padding. */
  readonly tokens: number;
  /** Tokens that are learned, or one for each row of a class. */
  readonly targets: number;
  /** Padding as a share of all tokens that are computed. */
  readonly paddingShare: number;
  /** Distinct shapes, as `rows x tokens`. */
  readonly shapes: readonly string[];
};

/**
 * The batches of any epoch (from 0). The same examples, options and epoch give the same batches.
 *
 * @throws UserError `training.batch-tokens` when the longest example does not fit into one batch
 */
export function collate(examples: readonly Example[], options: CollateOptions): (epoch: number) => BatchList {
  const {
    batchSize = Number.POSITIVE_INFINITY,
    batchTokens = Number.POSITIVE_INFINITY,
    multiple = 32,
    contextLength,
    seed,
    padId = 0,
  } = options;
  if (batchSize === Number.POSITIVE_INFINITY && batchTokens === Number.POSITIVE_INFINITY)
    throw new Error('collate: neither batchSize nor batchTokens');
  const longest = contextLength ?? Number.POSITIVE_INFINITY;
  const padded = examples.map(({ ids }) => Math.max(ids.length, Math.min(Math.ceil(ids.length / multiple) * multiple, longest)));
  const most = padded.reduce((a, b) => Math.max(a, b), 0);
  if (most > batchTokens) {
    throw new UserError(
      'training.batch-tokens',
      `training: longest example does not fit a batch: ${thousands(most)} tokens, padded; batches hold ${thousands(batchTokens)}: allow more, or cut examples`,
    );
  }
  return (epoch) => {
    const draw = random(seed, 'epoch', epoch);
    const order = draw.shuffle([...examples.keys()]).sort((a, b) => padded[b]! - padded[a]!);
    const cuts: (readonly number[])[] = [];
    for (let from = 0; from < order.length; ) {
      const rows = Math.min(batchSize, Math.floor(batchTokens / padded[order[from]!]!));
      cuts.push(order.slice(from, from + rows));
      from += rows;
    }
    const batches = draw.shuffle(cuts);
    const make = (rows: readonly number[]) =>
      batchOf(
        rows.map((row) => examples[row]!),
        { tokens: padded[rows[0]!]!, padId },
      );
    return {
      length: batches.length,
      at: (index) => (batches[index] === undefined ? undefined : make(batches[index])),
      examplesOf: (index) => batches[index] ?? [],
    };
  };
}

/** What an epoch comes to. */
export function reportBatches(examples: readonly Example[], list: BatchList): CollateReport {
  let computed = 0;
  const shapes = new Set<string>();
  for (let index = 0; index < list.length; index++) {
    const { rows, tokens } = list.at(index)!;
    computed += rows * tokens;
    shapes.add(`${rows} x ${tokens}`);
  }
  const tokens = examples.reduce((sum, { ids }) => sum + ids.length, 0);
  const learned = (example: Example) => (example.kind === 'class' ? 1 : example.mask.subarray(1).reduce((sum, one) => sum + one, 0));
  return {
    examples: examples.length,
    batches: list.length,
    tokens,
    targets: examples.reduce((sum, example) => sum + learned(example), 0),
    paddingShare: computed === 0 ? 0 : 1 - tokens / computed,
    shapes: [...shapes],
  };
}

/** Target of a place that is not counted. */
const ignored = -100;

/** One batch of examples of one kind. The target of a place is the token after it, where that one is learned. */
function batchOf(examples: readonly Example[], { tokens, padId }: { readonly tokens: number; readonly padId: number }): Batch {
  const rows = examples.length;
  const ids = new Int32Array(rows * tokens).fill(padId);
  const targets = new Int32Array(rows * tokens).fill(ignored);
  const labels = new Int32Array(rows);
  examples.forEach((example, row) => {
    ids.set(example.ids, row * tokens);
    if (example.kind === 'class') labels[row] = example.label;
    else for (let i = 1; i < example.ids.length; i++) if (example.mask[i]) targets[row * tokens + i - 1] = example.ids[i]!;
  });
  const shape = { rows, tokens, ids, lengths: Int32Array.from(examples, (example) => example.ids.length) };
  return examples[0]!.kind === 'class'
    ? ({ kind: 'class', ...shape, labels } satisfies ClassBatch)
    : ({ kind: 'causal', ...shape, targets } satisfies CausalBatch);
}
