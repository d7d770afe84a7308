import { describe, expect, test } from 'vitest';

import { evaluationMetrics } from '../../src/evaluation/evaluation-metrics.ts';

describe('evaluation metrics', () => {
  // Patients p {0 1 2}, q {3}; clusters {0 1} {2 3}; one right edge, one wrong.
  const input = {
    predicted: [0, 0, 1, 1],
    truth: ['p', 'p', 'p', 'q'],
    edges: { left: [0, 2], right: [1, 3] },
    autoMatchCount: 1,
    modelMatchCount: 1,
  };

  test('holds the reference’s keys in the reference’s order, numbers as numbers, then ours', () => {
    const metrics = evaluationMetrics(input);
    expect(Object.keys(metrics).join(' ')).toBe(
      'true_positives false_positives false_negatives precision recall f1_score predicted_pairs true_pairs num_golden_records num_true_patients ' +
        'count_accuracy count_difference avg_records_per_patient max_records_per_patient n_clusters purity impure_clusters completeness ' +
        'split_patients perfect_resolution_rate auto_match_count llm_match_count total_match_count labelled_records pairwise b_cubed exact_clusters',
    );
    expect(metrics).toMatchObject({
      true_positives: 1,
      false_positives: 1,
      false_negatives: 2,
      precision: 0.5,
      f1_score: 0.4,
      predicted_pairs: 2,
      true_pairs: 3,
      num_golden_records: 2,
      num_true_patients: 2,
      count_accuracy: true,
      count_difference: 0,
      avg_records_per_patient: 2,
      max_records_per_patient: 2,
      n_clusters: 2,
      purity: 0.5,
      impure_clusters: 1,
      completeness: 0.5,
      split_patients: 1,
      perfect_resolution_rate: 0,
      total_match_count: 2,
    });
    expect(metrics.b_cubed.precision).toBe(0.75);
  });

  test('records nobody has the truth of are left out of every score', () => {
    const wider = {
      ...input,
      predicted: [...input.predicted, 1, 7],
      truth: [...input.truth, null, null],
      edges: { left: [0, 2, 3], right: [1, 3, 4] },
    };
    const { pairwise, b_cubed, true_positives, false_positives, labelled_records, num_golden_records } = evaluationMetrics(wider);
    const plain = evaluationMetrics(input);
    expect({ pairwise, b_cubed, true_positives, false_positives }).toEqual({
      pairwise: plain.pairwise,
      b_cubed: plain.b_cubed,
      true_positives: 1,
      false_positives: 1,
    });
    expect({ labelled_records, num_golden_records }).toEqual({ labelled_records: 4, num_golden_records: 3 });
  });

  test('cluster figures have 4 decimals, the rest all there are', () => {
    const metrics = evaluationMetrics({ ...input, predicted: [0, 0, 1], truth: ['p', 'p', 'q'], edges: { left: [0, 0], right: [1, 2] } });
    expect(metrics.f1_score).toBe(2 / 3);
    const thirds = evaluationMetrics({ ...input, predicted: [0, 1, 2, 2], truth: ['p', 'p', 'q', 'r'], edges: { left: [], right: [] } });
    expect(thirds.completeness).toBe(0.6667);
  });
});
