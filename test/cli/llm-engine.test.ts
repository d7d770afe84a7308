import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { openModel } from '../../src/models/folder.ts';
import { readAdapter } from '../../src/models/peft.ts';
import { readRun } from '../../src/training/tracking.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';
import { trainWords, writeTinyPairs } from '../fixtures/tiny-pairs.ts';
import { largestDifference, logitsOf, runnable } from '../models/tiny-models.ts';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
/** What TRL really wrote for this very run; recipe beside it. */
const oracle = resolve(import.meta.dirname, '../oracle/engines/trl');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-llm-engine-'));
const at = (...names: string[]) => join(home, ...names);
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** A PATH with nothing on it but a shell's own commands, and what a test puts there. */
const bare = '/usr/bin:/bin';
const call = (words: readonly string[], path = bare) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...words], {
    cwd: home,
    encoding: 'utf8',
    env: { ...process.env, PATH: path, MLFLOW_TRACKING_URI: '' },
  });
  return { status, stdout, stderr };
};

/** A program under that name that does what the lines say, in the folder of the run. */
function program(name: string, ...lines: readonly string[]): string {
  const folder = mkdtempSync(at('bin-'));
  writeFileSync(join(folder, name), ['#!/bin/sh', ...lines, ''].join('\n'));
  chmodSync(join(folder, name), 0o755);
  return `${folder}${delimiter}${bare}`;
}
const trained = [`cp -r '${oracle}/output' .`, "printf ' 50%%|#  | 6/12 [00:01<00:01]\\r100%%|###| 12/12 [00:02<00:00]\\n'"];

/** The words of the run, into another folder. */
const into = (out: string, ...more: readonly string[]) => [...trainWords.map((word) => (word === 'run' ? out : word)), ...more];

beforeAll(async () => {
  await writeTinyModel(at('model'));
  writeTinyPairs(at('pairs'));
});

describe('llm train --engine', () => {
  test('starts the program, shows what it says, and takes its best adapter back as a run of ours', async () => {
    const path = program('trl', 'echo "$@" > said.txt', 'echo first words', ...trained);
    const { status, stdout, stderr } = call(into('run', '--json'), path);
    expect(stderr).toContain('24 rows; 5 to evaluate on; 12 steps: run/engine');
    expect(stderr).toContain('first words');
    expect(status).toBe(0);
    const history = JSON.parse(readFileSync(join(oracle, 'output/checkpoint-12/trainer_state.json'), 'utf8')).log_history as {
      readonly step: number;
      readonly loss?: number;
      readonly eval_loss?: number;
    }[];
    const lowest = history
      .filter(({ step, eval_loss: loss }) => step > 0 && loss !== undefined)
      .sort((a, b) => a.eval_loss! - b.eval_loss!)[0]!;
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ ended: 'finished', steps: 12, adapter: join('run', 'adapter') });
    expect(report.best).toEqual({ step: lowest.step, metrics: { loss: lowest.eval_loss } });
    expect(report.before.loss).toBe(history.find(({ step }) => step === 0)!.eval_loss);
    expect(readFileSync(at('run/engine/said.txt'), 'utf8')).toBe('sft --config trl.yaml --num_processes 1\n');
    expect(readFileSync(at('run/engine/log.txt'), 'utf8')).toContain('first words');
    expect(readdirSync(at('run')).sort()).toEqual(['adapter', 'engine', 'log', 'loss.svg']);
    const { metrics, params, tags } = readRun(at('run/log'));
    expect(metrics.filter(({ key }) => key === 'loss')).toHaveLength(12);
    expect(params).toMatchObject({ rank: '2', engine: 'trl' });
    expect(tags).toMatchObject({ engine: 'trl' });
  });

  test('the adapter gives the logits that PEFT gave with it', async () => {
    const { ids, logits } = JSON.parse(readFileSync(join(oracle, 'logits.json'), 'utf8')) as {
      readonly ids: readonly (readonly number[])[];
      readonly logits: readonly (readonly (readonly number[])[])[];
    };
    const base = await openModel(at('model'));
    const { adapter } = await readAdapter(at('run/adapter'), { base });
    await base.close();
    const model = await runnable(at('model'), { adapter });
    const [rows, tokens] = [ids.length, ids[0]!.length];
    const flat = Int32Array.from(ids.flat());
    const ours = await logitsOf(model, {
      ...{ kind: 'causal', rows, tokens, ids: flat, lengths: new Int32Array(rows).fill(tokens) },
      targets: new Int32Array(flat.length).fill(-100),
    });
    await model.close();
    const width = ours.length / (rows * tokens);
    const first = Float32Array.from({ length: rows * tokens * 64 }, (_, i) => ours[Math.floor(i / 64) * width + (i % 64)]!);
    expect(largestDifference(first, Float32Array.from(logits.flat(2)))).toBeLessThan(1e-4);
  });

  test('what is learned is what our own trainer learns, token by token', () => {
    const rows = readFileSync(at('run/engine/data/train.jsonl'), 'utf8').trim().split('\n');
    const { input_ids: ids, labels } = JSON.parse(rows[0]!) as { readonly input_ids: number[]; readonly labels: number[] };
    expect(rows).toHaveLength(24);
    expect(labels).toHaveLength(ids.length);
    const from = labels.findIndex((label) => label !== -100);
    expect(from).toBeGreaterThan(1);
    expect(labels.slice(from)).toEqual(ids.slice(from));
    expect(ids.at(-1)).toBe(2);
  });

  test('where it is not installed the folder is ready: run by hand, its adapter is taken back by the same command', () => {
    const { status, stderr } = call(into('by-hand'));
    expect(status).toBe(2);
    expect(stderr.trim().split('\n').at(-1)).toBe(
      "clinfuse: engine: trl is not installed; pip install 'trl[peft,quantization]', run by-hand/engine/run.sh (here or elsewhere), then this command again with --resume",
    );
    expect(existsSync(at('by-hand/adapter'))).toBe(false);
    spawnSync('sh', [at('by-hand/engine/run.sh')], { env: { PATH: program('trl', ...trained) }, cwd: tmpdir() });
    const again = call(into('by-hand', '--resume', '--json'));
    expect(again.stderr).not.toContain('bug');
    expect(again.status).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ ended: 'finished', steps: 12 });
  });

  test('--dry-run writes the folder and says how to go on; axolotl gets its own', () => {
    const words = into('dry', '--dry-run', '--json').map((word) => (word === 'trl' ? 'axolotl' : word));
    const { status, stdout } = call(words);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ steps: 12, rows: { train: 24, validation: 5, cut: 0, left: 0 } });
    expect(readdirSync(at('dry/engine')).sort()).toEqual(['axolotl.yaml', 'data', 'run.json', 'run.sh']);
  });

  test('stopped by Ctrl-C it stops the program, and goes on from its newest checkpoint', async () => {
    const half = ['mkdir -p output', `cp -r '${oracle}/output/checkpoint-6' output/`, 'echo under way', 'exec sleep 60'];
    const child = spawn(process.execPath, [main, ...into('stopped')], {
      cwd: home,
      env: { ...process.env, PATH: program('trl', ...half) },
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (!said.includes('under way') && (said + text).includes('under way')) child.kill('SIGINT');
      said += text;
    });
    expect(await new Promise((end) => child.on('close', end))).toBe(130);
    expect(existsSync(at('stopped/adapter'))).toBe(false);

    expect(call(into('stopped')).stderr).toMatch(/holds a run already: .*--resume/);
    expect(call(into('stopped', '--resume', '--seed', '7')).stderr).toMatch(/differs in seed/);
    const { status } = call(into('stopped', '--resume'), program('trl', ...trained));
    expect(status).toBe(0);
    expect(readFileSync(at('stopped/engine/trl.yaml'), 'utf8')).toContain('resume_from_checkpoint: output/checkpoint-6\n');
  });

  test.each([
    { name: 'it fails', lines: ['echo out of memory', 'exit 3'], says: /trl ended with code 3; what it said is in \S+log\.txt/ },
    { name: 'it leaves nothing', lines: ['true'], says: /no checkpoint in/ },
    {
      name: 'its loss is not a number',
      lines: [...trained, `sed -i 's/"loss": [0-9.]*/"loss": NaN/' output/checkpoint-12/trainer_state.json`],
      says: /loss is not a number at step 1; lower the learning rate/,
    },
    {
      name: 'its adapter is that of other settings',
      lines: [...trained, `sed -i 's/"lora_alpha": 4/"lora_alpha": 8/' output/*/adapter_config.json`],
      says: /not the adapter of this run: .*: alpha is 8, not 4/,
    },
    {
      name: 'its adapter is for another model',
      lines: [...trained, `sed -i 's/"up_proj"/"down_proj"/' output/*/adapter_config.json`],
      says: /adapter: /,
    },
  ])('one line and exit 2, and no adapter, where $name', ({ lines, says }) => {
    rmSync(at('failed'), { recursive: true, force: true });
    const { status, stderr } = call(into('failed'), program('trl', ...lines));
    expect(stderr.trim().split('\n').at(-1)).toMatch(says);
    expect(status).toBe(2);
    expect(existsSync(at('failed/adapter'))).toBe(false);
  });

  test.each([
    { name: 'a setting it lacks', words: ['--quantize', 'int8'], says: /not to be had with trl: quantize "int8"/ },
    { name: 'classes', words: ['--task', 'class'], says: /trl trains no classification head: model/ },
    { name: 'threads', words: ['--threads', '2'], says: /--threads: it belongs to our own trainer/ },
    { name: 'GPUs that do not share evenly', words: ['--accumulation', '3', '--processes', '2'], says: /accumulation 3; .*2 GPUs/ },
    { name: 'another program', words: ['--engine', 'torchtune'], says: /--engine: / },
  ])('refuses $name before anything is written', ({ words, says }) => {
    const { status, stderr } = call(into('refused', ...words));
    expect(stderr).toMatch(says);
    expect(status).toBe(2);
    expect(existsSync(at('refused'))).toBe(false);
  });

  test('a model with a head, and one that sees, are refused with what to use', () => {
    const tiny = resolve(import.meta.dirname, '../oracle/llm/models');
    for (const [model, says] of [['llama-class', /trains no classification head.*prepare-base --no-head/]] as const) {
      cpSync(dirname(join(tiny, model, 'config.json')), at(model), { recursive: true });
      expect(call(into('refused').map((word) => (word === 'model' ? model : word))).stderr).toMatch(says);
    }
  });

  test('--processes without --engine is refused', () => {
    expect(call(['llm', 'train', '--model', 'model', '--data', 'pairs', '--out', 'x', '--processes', '2']).stderr).toMatch(
      /--processes: it belongs to --engine/,
    );
  });
});
