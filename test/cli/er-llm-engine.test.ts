import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { openTokenizer } from '../../src/models/open-tokenizer.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const sample = resolve(import.meta.dirname, '../../examples/data');
const oracle = resolve(import.meta.dirname, '../oracle/engines/trl');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-er-llm-engine-'));
const at = (...names: string[]) => join(home, ...names);
afterAll(() => rmSync(home, { recursive: true, force: true }));

const erLlm = (words: readonly string[], path = '/usr/bin:/bin') => {
  const env = { ...process.env, PATH: path };
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'er', 'llm', ...words], { cwd: home, encoding: 'utf8', env });
  return { status, stdout, stderr };
};

/** Each of the two answers is one token, as with models of a usual size; with a template, they stand without a space. */
async function writeAnsweringModel(path: string, template?: string): Promise<void> {
  await writeTinyModel(path, { max_position_embeddings: 512 });
  const file = join(path, 'tokenizer.json');
  const tokenizer = JSON.parse(readFileSync(file, 'utf8')) as { added_tokens: { id: number; content: string }[]; model: { vocab: object } };
  const size = Math.max(Object.keys(tokenizer.model.vocab).length, ...tokenizer.added_tokens.map(({ id }) => id + 1));
  const flags = { special: false, single_word: false, lstrip: false, rstrip: false, normalized: false };
  const space = template === undefined ? ' ' : '';
  const added = ['False', 'True'].map((word, i) => ({ id: size + i, content: space + word, ...flags }));
  await writeTinyModel(path, { max_position_embeddings: 512, vocab_size: size + 2 });
  writeFileSync(file, JSON.stringify({ ...tokenizer, added_tokens: [...tokenizer.added_tokens, ...added] }));
  if (template !== undefined) writeFileSync(join(path, 'chat_template.jinja'), template);
}

const template = `{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}`;

/** The run that test/oracle/engines has an adapter of, on other rows. */
const train = (model: string, out: string) => [
  ...[
    'train',
    '--model',
    model,
    '--dataset',
    'dataset',
    '--out',
    out,
    '--engine',
    'trl',
    '--max-length',
    '256',
    '--no-quantize',
    '--precision',
  ],
  ...['exact', '--rank', '2', '--alpha', '4', '--targets', 'q_proj,up_proj', '--dropout', '0', '--epochs', '1'],
];

beforeAll(async () => {
  await writeAnsweringModel(at('model'));
  await writeAnsweringModel(at('chatting'), template);
  await writeTinyModel(at('spelling'), { max_position_embeddings: 512 });
  expect(erLlm(['prepare-dataset', '--in', sample, '--out', 'dataset', '--max-pairs', '24', '--quiet']).status).toBe(0);
});

describe('er llm train --engine', () => {
  test('the finished model answers the validation questions in words', () => {
    const bin = mkdtempSync(at('bin-'));
    writeFileSync(join(bin, 'trl'), `#!/bin/sh\ncp -r '${oracle}/output' .\n`);
    chmodSync(join(bin, 'trl'), 0o755);
    const { status, stdout, stderr } = erLlm([...train('model', 'run'), '--json'], `${bin}:/usr/bin:/bin`);
    expect(stderr).not.toContain('bug');
    expect(status).toBe(0);
    const metrics = JSON.parse(stdout);
    expect(metrics).toMatchObject({ engine: 'trl', best_step: 12, global_steps: 12 });
    expect(metrics.eval_f1).toBeTypeOf('number');
    const history = JSON.parse(readFileSync(join(oracle, 'output/checkpoint-12/trainer_state.json'), 'utf8')).log_history;
    expect(metrics.eval_loss).toBe(history.at(-1).eval_loss);
    expect(JSON.parse(readFileSync(at('run/adapter/calibration.json'), 'utf8'))).toMatchObject({ kind: 'platt' });
    expect(JSON.parse(readFileSync(at('run/inference_metrics.json'), 'utf8'))).toMatchObject({ form: 'words' });
  });

  test('is promoted and asked as any other', () => {
    expect(erLlm(['promote', '--train', 'run', '--registry', 'registry']).status).toBe(0);
    const infer = ['infer', '--model', 'model', '--adapter', 'run/adapter', '--dataset', 'dataset', '--out', 'answers/predictions.parquet'];
    expect(erLlm([...infer, '--max-length', '256']).status).toBe(0);
  });

  test('a pipeline’s word: of the same run nothing is left to train, another begins anew', () => {
    expect(erLlm([...train('model', 'run'), '--resume-or-restart']).status).toBe(0);
    expect(erLlm([...train('model', 'run'), '--resume-or-restart', '--seed', '7']).stderr).toContain('trl is not installed');
  });

  test.each(['model', 'chatting'])('%s: a row is the question as infer asks it, then the answer, which alone is learned', (model) => {
    expect(erLlm(train(model, `rows-${model}`)).stderr).toContain('trl is not installed');
    const tokenizer = openTokenizer(at(model));
    const rows = readFileSync(at(`rows-${model}/engine/data/train.jsonl`), 'utf8')
      .trim()
      .split('\n');
    const answers = rows.map((line) => {
      const { input_ids: ids, labels } = JSON.parse(line) as { readonly input_ids: number[]; readonly labels: number[] };
      expect(ids.length).toBeLessThanOrEqual(256);
      const from = labels.findIndex((label) => label !== -100);
      const asked = tokenizer.decode(ids.slice(0, from));
      const end = model === 'chatting' ? '<|im_end|><assistant>' : '';
      expect(asked.endsWith(`Answer only 'True' or 'False'.${end}`)).toBe(true);
      return tokenizer.decode([labels[from]!]).trim();
    });
    expect(new Set(answers)).toEqual(new Set(['True', 'False']));
  });

  test.each([
    { name: 'a model that spells the answers', words: train('spelling', 'none'), says: /writes False in \d tokens/ },
    { name: 'F1 as what decides', words: [...train('model', 'none'), '--metric', 'f1'], says: /not to be had with trl: metric "f1"/ },
  ])('refuses $name in one line, before anything is written', ({ words, says }) => {
    const { status, stderr } = erLlm(words);
    expect(stderr).toMatch(says);
    expect(status).toBe(2);
  });
});

describe('er llm prepare-base --no-head', () => {
  test('leaves a model that writes text, as the other programs need it', () => {
    const base = resolve(import.meta.dirname, '../oracle/llm/models/llama-class');
    expect(erLlm(['prepare-base', '--model', base, '--out', 'headless', '--no-head']).status).toBe(0);
    const config = JSON.parse(readFileSync(at('headless/config.json'), 'utf8'));
    expect(config).toMatchObject({ architectures: ['LlamaForCausalLM'] });
    expect(config).not.toHaveProperty('id2label');
    expect(readFileSync(at('headless/model.safetensors')).includes('score.weight')).toBe(false);
  });
});
