// How well texts are put into classes, any number of them. Each class is a question of its own (is it this one?), whose precision, recall
// and F1 come from `classificationMetrics`; "macro" is their plain mean, so that a rare class counts as much as a frequent one. With two
// classes the second is the one that is looked for, as in scikit-learn's binary average.
//
// Worked case: truth a a b, predicted a b b: recall of b 1/1, precision 1/2, F1 2/3; accuracy 2/3.

import { classificationMetrics } from './classification.ts';

export type ClassReport = {
  readonly accuracy: number;
  /** Of the second of two classes; the mean over classes where there are more. */
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  readonly classes: readonly {
    readonly label: string;
    readonly count: number;
    readonly precision: number;
    readonly recall: number;
    readonly f1: number;
  }[];
  /** Rows by true class, columns by predicted class. */
  readonly confusion: readonly (readonly number[])[];
};

/**
 * Compares predicted classes with true ones, both as numbers of `labels`.
 *
 * @throws UserError `evaluation.length` when the two differ in length
 */
export function classReport(predicted: Int32Array, truth: Int32Array, labels: readonly string[]): ClassReport {
  const confusion = labels.map(() => labels.map(() => 0));
  const classes = labels.map((label, k) => {
    const is = (list: Int32Array) => Uint8Array.from(list, (one) => Number(one === k));
    const { precision, recall, f1, truePositives, falseNegatives } = classificationMetrics(is(predicted), is(truth));
    return { label, count: truePositives + falseNegatives, precision, recall, f1 };
  });
  let right = 0;
  truth.forEach((label, i) => {
    confusion[label]![predicted[i]!]! += 1;
    right += Number(predicted[i] === label);
  });
  const mean = (of: 'precision' | 'recall' | 'f1') => classes.reduce((sum, one) => sum + one[of], 0) / classes.length;
  const { precision, recall, f1 } =
    classes.length === 2 ? classes[1]! : { precision: mean('precision'), recall: mean('recall'), f1: mean('f1') };
  return { accuracy: truth.length === 0 ? 0 : right / truth.length, precision, recall, f1, classes, confusion };
}
