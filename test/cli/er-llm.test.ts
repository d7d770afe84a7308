import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { writeTinyModel } from '../fixtures/tiny-model.ts';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const sample = resolve(import.meta.dirname, '../../examples/data');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-er-llm-'));
const at = (...names: string[]) => join(home, ...names);
afterAll(() => rmSync(home, { recursive: true, force: true }));

const erLlm = (...words: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'er', 'llm', ...words], { cwd: home, encoding: 'utf8' });
  return { status, stdout, stderr };
};

beforeAll(async () => {
  await writeTinyModel(at('model'), { max_position_embeddings: 512 });
  const { status, stderr } = erLlm('prepare-dataset', '--in', sample, '--out', 'dataset', '--max-pairs', '24', '--quiet');
  expect(stderr).toBe('');
  expect(status).toBe(0);
});

const quick = [
  '--lr',
  '1e-3',
  '--epochs',
  '1',
  '--batch-size',
  '4',
  '--grad-accum',
  '1',
  '--max-length',
  '256',
  '--no-quantize',
  '--threads',
  '1',
];

describe('er llm train', () => {
  test('leaves an adapter with its head, and training_metrics.json with the keys of the reference', () => {
    const { status, stderr } = erLlm(
      'train',
      '--model',
      'model',
      '--dataset',
      'dataset',
      '--out',
      'train',
      ...quick,
      '--max-samples',
      '16',
    );
    expect(stderr).toContain('16 to train on');
    expect(stderr).not.toContain('cut');
    expect(status).toBe(0);
    const metrics = JSON.parse(readFileSync(at('train', 'training_metrics.json'), 'utf8'));
    const expected = [
      'timestamp',
      'hf_repo',
      'epochs',
      'batch_size',
      'lr',
      'eval_f1',
      'eval_precision',
      'eval_recall',
      'training_loss',
      'global_steps',
    ];
    expect(Object.keys(metrics)).toEqual(expect.arrayContaining(expected));
    expect(metrics).toMatchObject({
      epochs: 1,
      batch_size: 4,
      lr: 1e-3,
      global_steps: 4,
      dataset: expect.stringMatching(/^[0-9a-f]{16}\/validation$/),
    });
    const adapter = JSON.parse(readFileSync(at('train', 'adapter', 'adapter_config.json'), 'utf8'));
    expect(adapter).toMatchObject({
      r: 16,
      lora_alpha: 32,
      lora_dropout: 0.05,
      task_type: 'SEQ_CLS',
      modules_to_save: ['classifier', 'score'],
    });
    expect(adapter.target_modules.length).toBe(7);
  });

  test.each([
    { name: 'no data set', words: ['--dataset', 'nothing'], says: /dataset: not found: nothing/ },
    { name: 'a setting out of range', words: ['--lora-r', '0'], says: /rank/ },
    { name: 'an unknown setting', words: ['--lerning-rate', '1'], says: /unknown option/ },
  ])('$name: one line, exit 2', ({ words, says }) => {
    const { status, stderr } = erLlm('train', '--model', 'model', '--dataset', 'dataset', '--out', 'none', ...words);
    expect(stderr.trim().split('\n').length).toBe(1);
    expect(stderr).toMatch(says);
    expect(status).toBe(2);
    expect(existsSync(at('none'))).toBe(false);
  });
});
