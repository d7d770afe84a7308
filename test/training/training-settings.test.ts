import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import {
  isHigherBetter,
  readTrainingYaml,
  runIdentity,
  settingNames,
  settingsFromFlags,
  trainingSettings,
} from '../../src/training/training-settings.ts';

describe('training settings', () => {
  test('have the defaults people know from transformers and PEFT', () => {
    expect(trainingSettings()).toMatchObject({
      ...{ rank: 8, alpha: 8, dropout: 0, rslora: false, dora: false, targets: 'all-linear' },
      ...{ learningRate: 5e-5, schedule: 'linear', warmup: 0, weightDecay: 0, maxGradientNorm: 1 },
      ...{ batchSize: 8, accumulation: 1, epochs: 3, seed: 42, evaluationEvery: 'epoch', metric: 'loss' },
    });
  });

  test('later sources win; what one does not say is left to the one before', () => {
    const { rank, epochs, alpha } = trainingSettings({ rank: 16, alpha: 32 }, { rank: 64, alpha: undefined, epochs: 1 });
    expect({ rank, epochs, alpha }).toEqual({ rank: 64, epochs: 1, alpha: 32 });
  });

  test.each([
    [{ learning_rate: 1e-4 }, 'training: settings: unknown key: learning_rate; did you mean learningRate?'],
    [{ rnk: 4 }, 'unknown key: rnk; did you mean rank?'],
    [{ somethingElseAltogether: 4 }, 'unknown key: somethingElseAltogether; known: rank, alpha, dropout'],
    [{ rank: 0 }, 'training: settings: rank: '],
    [{ learningRate: '1e-4' }, 'training: settings: learningRate: expected number, received string'],
    [{ dropout: 1 }, 'training: settings: dropout: '],
    [{ schedule: 'polynomial' }, 'training: settings: schedule: '],
    [{ evaluationEvery: 'sometimes' }, 'training: settings: evaluationEvery: not a whole number from 1 up, epoch or never'],
    [{ classWeights: [1] }, 'training: settings: classWeights: '],
    [{ patience: 2, evaluationEvery: 'never' }, 'patience: needs evaluations; set evaluationEvery'],
  ])('%j: %s', (said, message) => expect(() => trainingSettings(said)).toThrow(message));

  test('are read from YAML and from flags alike', () => {
    const folder = mkdtempSync(join(tmpdir(), 'clinfuse-settings-'));
    const file = join(folder, 'train.yaml');
    try {
      writeFileSync(file, 'learningRate: 2e-4\ntargets: [q_proj, v_proj]\ndora: true\nclassWeights: [1, 2.5]\nevaluationEvery: 100\n');
      const flags = { learningRate: '2e-4', targets: 'q_proj,v_proj', dora: true, classWeights: '1,2.5', evaluationEvery: '100' };
      expect(trainingSettings(settingsFromFlags(flags))).toEqual(trainingSettings(readTrainingYaml(file)));
      writeFileSync(file, 'learningRate: [1\n');
      expect(() => readTrainingYaml(file)).toThrow('training: settings: not valid YAML: ');
      writeFileSync(file, 'just words');
      expect(() => readTrainingYaml(file)).toThrow('training: settings: no keys and values: ');
      expect(() => readTrainingYaml(join(folder, 'none.yaml'))).toThrow('training: settings: file not found: ');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('a regular expression as target is taken as it is', () => {
    expect(settingsFromFlags({ targets: '.*\\.(q|v)_proj' })).toEqual({ targets: '.*\\.(q|v)_proj' });
  });

  test.each([
    [{ metric: 'loss' }, false],
    [{ metric: 'eval_perplexity' }, false],
    [{ metric: 'eval_accuracy' }, true],
    [{ metric: 'f1' }, true],
    [{ metric: 'f1', higherIsBetter: false }, false],
  ])('higher is better under %j: %s', (said, better) => expect(isHigherBetter(trainingSettings(said))).toBe(better));

  test('a run stays the same run under what changes nothing that is learned, and under nothing else', () => {
    const of = (said: Record<string, unknown>) => runIdentity({ model: 'a', data: 'b', settings: trainingSettings(said) });
    expect(of({ keep: 9, patience: 3, evaluationEvery: 10, checkpointEvery: 1, recompute: 'all' })).toEqual(of({}));
    expect(of({ learningRate: 1e-4 })).not.toEqual(of({}));
    expect(of({ maxSteps: 10 })).not.toEqual(of({}));
  });

  test('are documented, all of them, with their defaults', () => {
    const table = readFileSync(new URL('../../docs/training.md', import.meta.url), 'utf8')
      .split('| Setting | Default | |')[1]!
      .split('\n\n')[0]!;
    const rows = table.split('\n').map((row) => row.split('|').map((cell) => cell.trim()));
    const documented = rows.flatMap(([, names = '', defaults = '']) => {
      const values = defaults.split(', ');
      return [...names.matchAll(/`(\w+)`/g)].map(([, name], at) => [name, values[at]]);
    });
    const defaults: Record<string, unknown> = trainingSettings();
    expect(documented).toEqual(settingNames.map((name) => [name, String(defaults[name] ?? 'none')]));
  });
});
