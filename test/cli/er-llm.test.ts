import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { CommanderError } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { fitCascade } from '../../src/apps/entity-resolution/llm/fit-cascade.ts';
import { UserError } from '../../src/base/errors.ts';
import { silent } from '../../src/base/progress.ts';
import { program } from '../../src/cli/program.ts';
import { Database } from '../../src/sql/duckdb.ts';
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

/** What a command is refused with, in this process: it has all modules in memory already. The command line makes one line and exit 2 of it. */
async function refusal(...words: string[]): Promise<string> {
  const fault = await (await program(['er', 'llm'])).parseAsync(['er', 'llm', ...words], { from: 'user' }).catch((cause: Error) => cause);
  if (!(fault instanceof UserError || fault instanceof CommanderError)) throw fault;
  if (fault instanceof UserError) expect(fault.message.trim().split('\n').length).toBe(1);
  return fault.message;
}

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
  ])('$name: one line', async ({ words, says }) => {
    expect(await refusal('train', '--model', at('model'), '--dataset', at('dataset'), '--out', at('none'), ...words)).toMatch(says);
    expect(existsSync(at('none'))).toBe(false);
  });
});

describe('er llm promote and export', () => {
  const folder = ['--model', 'model', '--adapter', 'train/adapter', '--out', 'export'];

  test('the first is the champion, and is merged with its calibration and its figures on the test patients', () => {
    const promoted = erLlm('promote', '--train', 'train');
    expect(promoted.stderr).toBe('');
    expect(promoted.stdout).toContain('version 1 is the champion');
    const words = [...folder, '--decision', 'train/promotion_decision.json', '--validate', 'dataset', '--max-length', '256'];
    const { status, stderr } = erLlm('export', ...words, '--threads', '1');
    expect(stderr).not.toContain('bug');
    expect(status).toBe(0);
    const info = JSON.parse(readFileSync(at('export', 'export_info.json'), 'utf8'));
    expect(info).toMatchObject({ base_model: 'model', params: { modules: 14, model_version: 1 }, test_accuracy: expect.any(Number) });
    expect(readdirSync(at('export')).sort()).toEqual(['export_info.json', 'model']);
    const calibration = JSON.parse(readFileSync(at('export', 'model', 'calibration.json'), 'utf8'));
    expect(calibration).toMatchObject({ kind: 'platt', slope: expect.any(Number) });
  });

  test('a worse one is not, changes nothing of the champion, and is skipped with its reason', () => {
    const champion = () =>
      readdirSync(at('models-registry'), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.parentPath.includes(join('versions', '1')))
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
    const before = champion();
    cpSync(at('train'), at('worse'), { recursive: true });
    const metrics = JSON.parse(readFileSync(at('worse', 'training_metrics.json'), 'utf8'));
    writeFileSync(at('worse', 'training_metrics.json'), JSON.stringify({ ...metrics, eval_f1: metrics.eval_f1 - 0.01 }));
    expect(erLlm('promote', '--train', 'worse').stdout).toContain('version 2 is not promoted');
    expect(champion()).toEqual(before);
    const exported = () => readdirSync(at('export', 'model')).map((name) => readFileSync(at('export', 'model', name), 'latin1'));
    const model = exported();
    const { status, stdout } = erLlm('export', ...folder, '--decision', 'worse/promotion_decision.json');
    expect(exported()).toEqual(model);
    expect(stdout).toContain('not exported');
    expect(status).toBe(0);
    expect(JSON.parse(readFileSync(at('export', 'export_info.json'), 'utf8'))).toEqual({ skipped: true, reason: 'model_not_promoted' });
  });

  test('without a decision nothing is exported: one line, exit 2', () => {
    const { status, stderr } = erLlm('export', ...folder, '--decision', 'none.json');
    expect(stderr).toBe('clinfuse: export: no promotion decision: none.json; run promote first\n');
    expect(status).toBe(2);
  });
});

describe('er llm infer', () => {
  const infer = ['infer', '--model', 'model', '--adapter', 'train/adapter', '--max-length', '256', '--threads', '1'];
  type Prediction = {
    readonly prediction: number;
    readonly confidence: number;
    readonly logit_0: number;
    readonly logit_1: number;
    readonly clinical_log_odds: number;
    readonly correct?: boolean;
    readonly record_id_1: string;
  };
  const read = async (name: string): Promise<Prediction[]> => {
    await using db = await Database.open();
    return await db.rows<Prediction>(`select * from '${at(name)}'`);
  };

  test('answers a split, with figures by kind, scores unrounded and nothing of the text', async () => {
    const { status, stdout, stderr } = erLlm(
      ...infer,
      '--dataset',
      'dataset',
      '--split',
      'train',
      '--out',
      'whole.parquet',
      '--batch-size',
      '2',
      '--json',
    );
    expect(stderr).not.toContain('bug');
    expect(status).toBe(0);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ examples: 24, form: 'class', storage: 'f32', resumed: 0 });
    expect(report.kinds.match.pairs).toBe(12);
    expect(JSON.parse(readFileSync(at('inference_metrics.json'), 'utf8'))).toEqual(report);
    const rows = await read('whole.parquet');
    expect(Object.keys(rows[0]!)).toEqual([
      ...['kind', 'record_id_1', 'record_id_2', 'label', 'prediction', 'confidence', 'logit_0', 'logit_1', 'clinical_log_odds', 'correct'],
    ]);
    for (const { prediction, confidence, clinical_log_odds: odds } of rows) {
      expect(prediction).toBe(Number(odds > 0));
      expect(confidence).toBeCloseTo(1 / (1 + Math.exp(-Math.abs(odds))), 12);
    }
    expect(rows.filter(({ correct }) => correct).length / rows.length).toBeCloseTo(report.metrics.accuracy, 12);
    expect(readdirSync(home).filter((name) => name.includes('scored'))).toEqual([]);
  });

  test('killed and run again, asks nothing twice and ends in the same answers', async () => {
    const words = [...infer, '--dataset', 'dataset', '--split', 'train', '--out', 'again.parquet', '--batch-size', '2'];
    const child = spawn(process.execPath, [main, 'er', 'llm', ...words], { cwd: home, stdio: 'ignore' });
    const log = at('again.parquet.scored.jsonl');
    const scored = () => (existsSync(log) ? readFileSync(log, 'utf8').split('\n').length - 2 : 0);
    await new Promise<void>((done) => {
      child.on('exit', () => done());
      const watch = setInterval(() => {
        if (scored() < 3) return;
        clearInterval(watch);
        child.kill('SIGKILL');
      }, 2);
    });
    const before = scored();
    expect(existsSync(at('again.parquet'))).toBe(false);
    const { stdout } = erLlm(...words, '--json');
    expect(JSON.parse(stdout)).toMatchObject({ examples: 24, resumed: 2 * before });
    const [again, whole] = [await read('again.parquet'), await read('whole.parquet')];
    expect(again).toEqual(whole);
  });

  test('takes pairs from a CSV, and leaves what is written there as it is', async () => {
    await using db = await Database.open();
    await db.run(`copy (select record_id_1, '00' || label as zip, messages[1].content as text from '${at('dataset/data/test.parquet')}')
      to '${at('pairs.csv')}' (format csv, header)`);
    const { status } = erLlm(...infer, '--input', 'pairs.csv', '--out', 'answers.csv');
    expect(status).toBe(0);
    expect(readFileSync(at('answers.csv'), 'utf8')).toMatch(
      /^record_id_1,zip,prediction,confidence,logit_0,logit_1,clinical_log_odds\nfacility_\S+,00[01],/,
    );
  });

  test.each([
    { name: 'neither file nor data set', words: [], says: /name either --input or --dataset/ },
    { name: 'a file without texts', words: ['--input', at('answers.csv')], says: /column not found: text/ },
    { name: 'no such file', words: ['--input', 'none.csv'], says: /file not found: none.csv/ },
    { name: 'a model that cannot write the answer in one token', words: ['--dataset', at('dataset')], says: /writes False in 4 tokens/ },
  ])('$name: one line', async ({ words, says }) => {
    expect(await refusal('infer', '--model', at('model'), '--out', at('none.parquet'), ...words)).toMatch(says);
  });
});

describe('er llm cascade', () => {
  const er = (...words: string[]) => spawnSync(process.execPath, [main, 'er', ...words], { cwd: home, encoding: 'utf8' });
  const asking = [
    '--resolved',
    'resolved',
    '--inferred',
    'inferred',
    '--fusion',
    'fusion.json',
    '--model',
    'model',
    '--adapter',
    'train/adapter',
  ];
  type Fused = {
    readonly asked?: boolean;
    readonly clinical_log_odds: number;
    readonly log_odds: number;
    readonly answer_log_odds: number | null;
    readonly evidence_log_odds: number;
  };
  const read = async (name: string): Promise<Fused[]> => {
    await using db = await Database.open();
    return await db.rows<Fused>(`select * from '${at(name, 'predictions.parquet')}' order by record_id_1, record_id_2`);
  };

  test('learns what the answers add, without the patients it learns from', async () => {
    const held = ['infer', '--dataset', 'dataset', '--split', 'validation', '--model', 'model', '--adapter', 'train/adapter'];
    expect(erLlm(...held, '--out', 'held.parquet', '--max-length', '256').status).toBe(0);
    const opinion = await fitCascade({ folder: sample, answers: at('held.parquet'), seed: 42, otherPairs: 1000, progress: silent });
    // A model of so little says nothing that chance would not.
    expect(opinion).toEqual({
      ...{ intercept: 0, first: 1, second: 0, pairs: expect.any(Number) },
      ...{ match: expect.anything(), other: expect.anything() },
    });
    writeFileSync(at('unheard.json'), JSON.stringify(opinion));
  });

  test('asks about the pairs it is least sure of, as many as it may, and leaves the others as they were', async () => {
    const heard = {
      intercept: 0.1,
      first: 0.9,
      second: 0.5,
      match: { mean: 1, deviation: 1 },
      other: { mean: -1, deviation: 1 },
      pairs: 100,
    };
    writeFileSync(at('fusion.json'), JSON.stringify(heard));
    for (const words of [
      ['resolve', '--in', sample, '--out', 'resolved'],
      ['infer', '--in', sample, '--resolved', 'resolved', '--out', 'inferred'],
    ]) {
      expect(er(...words, '--quiet').status).toBe(0);
    }
    const { status, stderr } = erLlm('cascade', ...asking, '--max-pairs', '6', '--max-length', '256', '--out', 'cascade');
    expect(stderr).not.toContain('bug');
    expect(stderr).toContain('6 of 217 pairs of the gray zone are asked about');
    expect(status).toBe(0);
    const [before, after] = [await read('inferred'), await read('cascade')];
    expect(after.filter(({ asked }) => asked).length).toBe(6);
    const { intercept, first, second } = heard;
    for (const [i, { asked, clinical_log_odds: now, evidence_log_odds: e, answer_log_odds: l }] of after.entries()) {
      expect(e).toBe(before[i]!.clinical_log_odds);
      expect(now).toBeCloseTo(asked ? intercept + first * e + second * l! : e, 9);
      expect(after[i]!.log_odds - now).toBeCloseTo(before[i]!.log_odds - e, 9);
    }
    expect(readdirSync(at('cascade')).sort()).toEqual(['answers.parquet', 'inference_metrics.json', 'predictions.parquet']);
    expect(existsSync(at('cascade.asking'))).toBe(false);
    const golden = er('golden-records', '--in', sample, '--resolved', 'resolved', '--inferred', 'cascade', '--out', 'golden', '--quiet');
    expect(golden.status).toBe(0);
  });

  test('asks nobody where answers add nothing, and the evidence stands', async () => {
    const words = [...asking, '--max-pairs', '6', '--fusion', 'unheard.json', '--out', 'unheard'];
    const { status, stderr } = erLlm('cascade', ...words);
    expect(stderr).toContain('0 of 217 pairs of the gray zone are asked about');
    expect(status).toBe(0);
    const odds = async (name: string) => (await read(name)).map(({ log_odds }) => log_odds);
    expect(await odds('unheard')).toEqual(await odds('inferred'));
  });

  test.each([
    { name: 'no budget', words: [], says: /no budget/ },
    {
      name: 'no fusion',
      words: ['--max-pairs', '1', '--fusion', 'none.json'],
      says: /file not found: none.json; make it with er llm fit-cascade/,
    },
  ])('$name: one line', async ({ words, says }) => {
    expect(await refusal('cascade', ...asking, '--out', at('none'), ...words)).toMatch(says);
  });
});
