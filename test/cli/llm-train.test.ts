import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readRun } from '../../src/training/tracking.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';
import { mlflowServer } from '../training/mlflow-server.ts';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-llm-train-'));
const at = (...names: string[]) => join(home, ...names);
afterAll(() => rmSync(home, { recursive: true, force: true }));

const llm = (...words: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'llm', ...words], { cwd: home, encoding: 'utf8' });
  return { status, stdout, stderr };
};

const rows = (count: number, row: (i: number) => object) =>
  `${Array.from({ length: count }, (_, i) => JSON.stringify(row(i))).join('\n')}\n`;

beforeAll(async () => {
  await writeTinyModel(at('model'));
  mkdirSync(at('pairs'));
  const pair = (i: number) => ({ prompt: `Question ${i % 5}: `, completion: ['yes', 'no', 'never', 'daily', 'weekly'][i % 5] });
  writeFileSync(at('pairs', 'train.jsonl'), rows(24, pair));
  writeFileSync(at('pairs', 'validation.jsonl'), rows(5, pair));
  writeFileSync(
    at('classes.jsonl'),
    rows(24, (i) => ({ text: i % 2 ? `fever for ${i} days` : `${i} tablets a day`, label: i % 2 ? 'sign' : 'dose' })),
  );
});

const quick = ['--learning-rate', '1e-2', '--batch-size', '4', '--epochs', '4', '--threads', '1'];

describe('llm train', () => {
  test('learns, keeps the best adapter, and leaves log, checkpoints and a picture', () => {
    const { status, stdout, stderr } = llm('train', '--model', 'model', '--data', 'pairs', '--out', 'run', ...quick, '--json');
    expect(stderr).not.toContain('bug');
    expect(status).toBe(0);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ ended: 'finished', steps: 24, adapter: join('run', 'adapter') });
    expect(report.best.metrics.loss).toBeLessThan(0.85 * report.before.loss);
    expect(readdirSync(at('run')).sort()).toEqual(['adapter', 'checkpoints', 'log', 'loss.svg']);
    expect(readdirSync(at('run', 'adapter')).sort()).toEqual(['README.md', 'adapter_config.json', 'adapter_model.safetensors']);
    expect(readFileSync(at('run', 'loss.svg'), 'utf8')).toMatch(/^<svg/);
    const measured = (adapter: string) =>
      JSON.parse(llm('evaluate', '--model', 'model', '--adapter', adapter, '--data', 'pairs', '--split', 'validation', '--json').stdout)
        .metrics;
    const best = join('run', 'checkpoints', `checkpoint-${String(report.best.step).padStart(6, '0')}`);
    expect(measured(best)).toEqual(measured(join('run', 'adapter')));
  });

  test('the same seed gives the same bytes, recomputed or kept, whatever the storage of nothing lost', () => {
    const run = (name: string, ...more: string[]) => {
      expect(llm('train', '--model', 'model', '--data', 'pairs', '--out', name, ...quick, '--max-steps', '5', ...more).status).toBe(0);
      return readFileSync(at(name, 'adapter', 'adapter_model.safetensors'));
    };
    const first = run('same-1');
    expect(run('same-2').equals(first)).toBe(true);
    expect(run('same-3', '--recompute', 'all').equals(first)).toBe(true);
    expect(run('same-4', '--seed', '7').equals(first)).toBe(false);
  });

  test('classes are taken from the data where the model names none, and the head is saved with the adapter', () => {
    const words = ['--model', 'model', '--data', 'classes.jsonl', '--task', 'class', '--validation-share', '0.25', '--metric', 'accuracy'];
    const { status, stdout, stderr } = llm('train', ...words, '--out', 'classes', ...quick, '--json');
    expect(stderr).toContain('one of 2 classes: dose, sign');
    expect(status).toBe(0);
    expect(JSON.parse(stdout).best.metrics.accuracy).toBeGreaterThan(0.8);
    const config = JSON.parse(readFileSync(at('classes', 'adapter', 'adapter_config.json'), 'utf8'));
    expect(config).toMatchObject({ task_type: 'SEQ_CLS', modules_to_save: ['classifier', 'score'] });
  });

  test('llm evaluate measures the adapter, class by class, and writes what each row was taken for', () => {
    const words = ['--model', 'model', '--adapter', 'classes/adapter', '--data', 'classes.jsonl', '--predictions', 'predictions.jsonl'];
    const { status, stdout } = llm('evaluate', ...words, '--json');
    expect(status).toBe(0);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ split: 'train', task: 'class', rows: 24 });
    expect(report.metrics.accuracy).toBeGreaterThan(0.9);
    expect(report.classes.classes.map(({ label, count }: { label: string; count: number }) => [label, count])).toEqual([
      ['dose', 12],
      ['sign', 12],
    ]);
    const lines = readFileSync(at('predictions.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const right = lines.filter(({ row, label }) => label === (row % 2 ? 'sign' : 'dose'));
    expect(right.length / lines.length).toBeCloseTo(report.metrics.accuracy, 12);
    for (const { probabilities } of lines) expect(probabilities.dose + probabilities.sign).toBeCloseTo(1, 6);
  });

  test('llm evaluate without an adapter gives the loss a run begins with', () => {
    const { stdout } = llm('evaluate', '--model', 'model', '--data', 'pairs', '--json');
    const { before } = readRun(at('run', 'log')).summary as { before: { loss: number } };
    expect(JSON.parse(stdout)).toMatchObject({ split: 'validation', task: 'causal', rows: 5 });
    expect(JSON.parse(stdout).metrics.loss).toBeCloseTo(before.loss, 5);
    expect(llm('evaluate', '--model', 'model', '--data', 'pairs', '--task', 'class').stderr).toMatch(/no classification head/);
  });

  test.each([
    ['nf4', 'exact'],
    ['int8', 'exact'],
    ['none', 'fast'],
    ['nf4', 'fast'],
  ])('weights kept as %s, %s backward pass: learns as well', (quantize, precision) => {
    const out = `kept-${quantize}-${precision}`;
    const words = ['--model', 'model', '--data', 'pairs', '--out', out, '--quantize', quantize, '--precision', precision];
    const { status, stdout } = llm('train', ...words, ...quick, '--json');
    expect(status).toBe(0);
    const report = JSON.parse(stdout);
    expect(report.best.metrics.loss).toBeLessThan(0.85 * report.before.loss);
  });

  test('reports to the MLflow server that the environment names', async () => {
    const server = await mlflowServer();
    const words = [
      'train',
      '--model',
      'model',
      '--data',
      'pairs',
      '--out',
      'told',
      ...quick,
      '--max-steps',
      '3',
      '--run-name',
      'three steps',
    ];
    const env = { ...process.env, MLFLOW_TRACKING_URI: server.uri, MLFLOW_EXPERIMENT_NAME: 'answers' };
    const child = spawn(process.execPath, [main, 'llm', ...words], { cwd: home, env, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk) => (said += chunk));
    expect(await new Promise((done) => child.on('exit', done))).toBe(0);
    expect(said).toContain(`MLflow: ${server.uri}/#/experiments/1/runs/`);
    const [run] = server.runs;
    expect(run!.info).toMatchObject({ run_name: 'three steps', status: 'FINISHED' });
    expect(run!.params.get('maxSteps')).toBe('3');
    expect(run!.tags.get('data.sha256')).toMatch(/^[\da-f]+$/);
    expect(run!.metrics.filter(({ key }) => key === 'loss').map(({ step }) => step)).toEqual([1, 2, 3]);
    expect([...server.artifacts.keys()].map((path) => path.replace(/^.*artifacts\//, '')).sort()).toEqual([
      ...['adapter/README.md', 'adapter/adapter_config.json', 'adapter/adapter_model.safetensors', 'loss.svg', 'summary.json'],
    ]);
    await server.close();
  });

  test('--dry-run says what would be done and makes nothing', () => {
    const { status, stdout } = llm('train', '--model', 'model', '--data', 'pairs', '--out', 'dry', ...quick, '--dry-run');
    expect(status).toBe(0);
    expect(stdout).toMatch(/Trainable +[\d,]+ of [\d,]+ parameters/);
    expect(stdout).toMatch(/Steps +24\n/);
    expect(stdout).toMatch(/together +0\.\d\d GB/);
    expect(existsSync(at('dry'))).toBe(false);
  });

  test('Ctrl-C saves the step at hand; --resume ends with the bytes of an unbroken run', async () => {
    const words = ['train', '--model', 'model', '--data', 'pairs', ...quick, '--checkpoint-every', '1000'];
    expect(llm(...words, '--out', 'whole').status).toBe(0);
    const status = await new Promise<number | null>((done) => {
      const child = spawn(process.execPath, [main, 'llm', ...words, '--out', 'broken'], { cwd: home, stdio: ['ignore', 'ignore', 'pipe'] });
      const log = at('broken', 'log', 'events.jsonl');
      const watch = setInterval(() => {
        if (existsSync(log) && readFileSync(log, 'utf8').includes('"step":3')) {
          clearInterval(watch);
          child.kill('SIGINT');
        }
      }, 5);
      child.on('exit', (code) => {
        clearInterval(watch);
        done(code);
      });
    });
    expect(status).toBe(130);
    expect(llm(...words, '--out', 'broken', '--resume').status).toBe(0);
    const adapter = (run: string) => readFileSync(at(run, 'adapter', 'adapter_model.safetensors'));
    expect(adapter('broken').equals(adapter('whole'))).toBe(true);
  });

  test('a loss that is no number stops the run: step and batch are named, the last good checkpoint stays', () => {
    const words = ['--model', 'model', '--data', 'pairs', '--out', 'diverged', '--batch-size', '4', '--checkpoint-every', '1'];
    const { status, stderr } = llm('train', ...words, '--learning-rate', '1e30', '--max-gradient-norm', '0', '--schedule', 'constant');
    expect(status).toBe(2);
    expect(stderr.trim().split('\n').at(-1)).toMatch(
      /^clinfuse: training: .+ step \d+, batch \d+ of 6 of epoch 1; lower the learning rate .+ checkpoint-\d{6} is kept$/,
    );
    expect(readRun(at('diverged', 'log'))).toMatchObject({ status: 'failed', summary: { error: expect.stringContaining('step') } });
  });

  test.each([
    { name: 'a folder without config', words: ['--model', 'pairs', '--data', 'pairs'], says: /config\.json/ },
    { name: 'no tokenizer', words: ['--model', 'bare', '--data', 'pairs'], says: /tokenizer: not found/ },
    { name: 'data that is not there', words: ['--model', 'model', '--data', 'nowhere'], says: /nowhere/ },
    { name: 'an unknown setting', words: ['--model', 'model', '--data', 'pairs', '--ranck', '8'], says: /ranck/ },
    {
      name: 'a target that means nothing',
      words: ['--model', 'model', '--data', 'pairs', '--targets', 'query'],
      says: /target names no linear layer: query/,
    },
    { name: 'a label out of range', words: ['--model', 'classes-model', '--data', 'classes.jsonl'], says: /label/ },
    {
      name: 'a metric that evaluation does not give',
      words: ['--model', 'model', '--data', 'pairs', '--metric', 'f2'],
      says: /metric not found: f2/,
    },
    { name: 'a folder in use', words: ['--model', 'model', '--data', 'pairs', '--out', 'run'], says: /holds checkpoints/ },
  ])('$name: one line, exit 2', async ({ words, says }) => {
    cpSync(at('model'), at('bare'), { recursive: true });
    rmSync(at('bare', 'tokenizer.json'));
    await writeTinyModel(at('classes-model'), { architectures: ['LlamaForSequenceClassification'], id2label: { 0: 'a', 1: 'b' } });
    const { status, stderr } = llm('train', ...(words.includes('--out') ? [] : ['--out', 'bad']), ...words, '--quiet');
    expect(stderr).toMatch(says);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(status).toBe(2);
    expect(existsSync(at('bad', 'adapter'))).toBe(false);
  });
});
