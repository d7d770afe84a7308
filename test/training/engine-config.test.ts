import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { engineConfig, engineDefaults, engineScript, engineYaml } from '../../src/training/engine-config.ts';
import { type EngineName, type EngineRun, engineNames } from '../../src/training/engine-rules.ts';
import { settingNames, type TrainingSettings, trainingSettings } from '../../src/training/training-settings.ts';

const run = (said: Readonly<Record<string, unknown>> = {}, more: Partial<EngineRun> = {}): EngineRun => ({
  ...{ model: '../../model', processes: 1, totalSteps: 100, hasValidation: true },
  settings: trainingSettings(engineDefaults(said), said),
  ...more,
});

/** What each setting becomes: keys of each program, or the words it is refused with. */
type Expected = Readonly<Record<string, unknown>> | RegExp;
type Case = {
  readonly said: Partial<TrainingSettings>;
  readonly trl: Expected;
  readonly axolotl: Expected;
  readonly more?: Partial<EngineRun>;
};

const table: { readonly [Setting in keyof Required<TrainingSettings>]: readonly Case[] } = {
  rank: [{ said: { rank: 16 }, trl: { lora_r: 16 }, axolotl: { lora_r: 16 } }],
  alpha: [
    { said: { alpha: 32 }, trl: { lora_alpha: 32 }, axolotl: { lora_alpha: 32 } },
    { said: { alpha: 1.5 }, trl: /trl: alpha 1.5; it takes whole numbers/, axolotl: /alpha 1.5/ },
  ],
  dropout: [{ said: { dropout: 0.05 }, trl: { lora_dropout: 0.05 }, axolotl: { lora_dropout: 0.05 } }],
  rslora: [{ said: { rslora: true }, trl: { use_rslora: true }, axolotl: { peft_use_rslora: true } }],
  dora: [{ said: { dora: true }, trl: { use_dora: true }, axolotl: { peft_use_dora: true } }],
  targets: [
    {
      said: { targets: 'all-linear' },
      trl: { lora_target_modules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] },
      axolotl: { lora_target_modules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] },
    },
    {
      said: { targets: ['q_proj', 'mlp.up_proj'] },
      trl: { lora_target_modules: ['q_proj', 'mlp.up_proj'] },
      axolotl: { lora_target_modules: ['q_proj', 'mlp.up_proj'] },
    },
    {
      said: { targets: 'mlp.up_proj' },
      trl: { lora_target_modules: ['(.*\\.)?mlp\\.up_proj'] },
      axolotl: { lora_target_modules: '(.*\\.)?mlp\\.up_proj' },
    },
    {
      said: { targets: '.*layers\\.[01]\\..*q_proj' },
      trl: { lora_target_modules: ['.*layers\\.[01]\\..*q_proj'] },
      axolotl: { lora_target_modules: '.*layers\\.[01]\\..*q_proj' },
    },
  ],
  learningRate: [{ said: { learningRate: 2e-4 }, trl: { learning_rate: 2e-4 }, axolotl: { learning_rate: 2e-4 } }],
  schedule: [
    { said: { schedule: 'cosine' }, trl: { lr_scheduler_type: 'cosine' }, axolotl: { lr_scheduler: 'cosine' } },
    {
      said: { schedule: 'constant' },
      trl: { lr_scheduler_type: 'constant_with_warmup' },
      axolotl: { lr_scheduler: 'constant_with_warmup' },
    },
  ],
  warmup: [
    { said: { warmup: 7 }, trl: { warmup_steps: 7 }, axolotl: { warmup_steps: 7 } },
    { said: { warmup: 0.055 }, trl: { warmup_steps: 6 }, axolotl: { warmup_steps: 6 } },
    { said: { warmup: 1 }, trl: { warmup_steps: 1 }, axolotl: /warmup 1; it makes two steps of one/ },
  ],
  weightDecay: [{ said: { weightDecay: 0.01 }, trl: { weight_decay: 0.01 }, axolotl: { weight_decay: 0.01 } }],
  maxGradientNorm: [{ said: { maxGradientNorm: 0 }, trl: { max_grad_norm: 0 }, axolotl: { max_grad_norm: 0 } }],
  batchSize: [
    {
      said: { batchSize: 4 },
      trl: { per_device_train_batch_size: 4, per_device_eval_batch_size: 4 },
      axolotl: { micro_batch_size: 4, eval_batch_size: 4 },
    },
  ],
  accumulation: [
    { said: { accumulation: 4 }, trl: { gradient_accumulation_steps: 4 }, axolotl: { gradient_accumulation_steps: 4 } },
    {
      said: { accumulation: 4 },
      more: { processes: 2 },
      trl: { gradient_accumulation_steps: 2 },
      axolotl: { gradient_accumulation_steps: 2 },
    },
    { said: { accumulation: 4 }, more: { processes: 3 }, trl: /accumulation 4; .* among 3 GPUs/, axolotl: /accumulation 4/ },
  ],
  epochs: [{ said: { epochs: 6 }, trl: { num_train_epochs: 6 }, axolotl: { num_epochs: 6 } }],
  maxSteps: [{ said: { maxSteps: 9 }, trl: { max_steps: 9 }, axolotl: { max_steps: 9 } }],
  maxLength: [{ said: { maxLength: 512 }, trl: { max_length: 512 }, axolotl: { sequence_len: 512 } }],
  labelSmoothing: [
    { said: { labelSmoothing: 0.1 }, trl: { label_smoothing_factor: 0.1 }, axolotl: /labelSmoothing 0.1; it has none/ },
    { said: { labelSmoothing: 0 }, trl: { label_smoothing_factor: 0 }, axolotl: {} },
  ],
  classWeights: [{ said: { classWeights: [1, 2] }, trl: /classWeights \[1,2\]/, axolotl: /classWeights \[1,2\]/ }],
  seed: [{ said: { seed: 7 }, trl: { seed: 7 }, axolotl: { seed: 7 } }],
  evaluationEvery: [
    { said: {}, trl: { eval_strategy: 'epoch', eval_on_start: true }, axolotl: { eval_strategy: 'epoch' } },
    {
      said: { evaluationEvery: 20 },
      trl: { eval_strategy: 'steps', eval_steps: 20, save_steps: 20 },
      axolotl: { eval_strategy: 'steps', eval_steps: 20, save_steps: 20 },
    },
    {
      said: { evaluationEvery: 'never' },
      trl: { eval_strategy: 'no', load_best_model_at_end: false, save_steps: 50 },
      axolotl: { eval_strategy: 'no', save_steps: 50 },
    },
    { said: {}, more: { hasValidation: false }, trl: { eval_strategy: 'no' }, axolotl: { eval_strategy: 'no' } },
  ],
  metric: [
    { said: { metric: 'loss' }, trl: { metric_for_best_model: 'loss' }, axolotl: { metric_for_best_model: 'loss' } },
    { said: { metric: 'f1' }, trl: /metric "f1"; it evaluates the loss alone/, axolotl: /metric "f1"/ },
  ],
  higherIsBetter: [
    { said: { higherIsBetter: false }, trl: { greater_is_better: false }, axolotl: { greater_is_better: false } },
    { said: { higherIsBetter: true }, trl: /higherIsBetter true/, axolotl: /higherIsBetter true/ },
  ],
  patience: [
    {
      said: { patience: 3, evaluationEvery: 10 },
      trl: /patience 3; its command has no early stop/,
      axolotl: { early_stopping_patience: 3, eval_steps: 10, save_steps: 10 },
    },
    { said: { patience: 3 }, trl: /patience 3/, axolotl: /patience 3; it counts in steps/ },
  ],
  checkpointEvery: [
    { said: { checkpointEvery: 'epoch' }, trl: { save_strategy: 'epoch' }, axolotl: { save_strategy: 'epoch' } },
    { said: { checkpointEvery: 50 }, trl: /checkpointEvery 50; .* as evaluationEvery, epoch/, axolotl: /checkpointEvery 50/ },
    {
      said: { checkpointEvery: 50 },
      more: { hasValidation: false },
      trl: { save_strategy: 'steps', save_steps: 50 },
      axolotl: { save_strategy: 'steps', save_steps: 50 },
    },
    { said: { checkpointEvery: 'never' }, trl: /checkpointEvery "never"/, axolotl: /checkpointEvery "never"/ },
  ],
  keep: [
    { said: { keep: 2 }, trl: { save_total_limit: 3 }, axolotl: { save_total_limit: 3 } },
    { said: { keep: 2 }, more: { hasValidation: false }, trl: { save_total_limit: 2 }, axolotl: { save_total_limit: 2 } },
  ],
  recompute: [
    { said: { recompute: 'auto' }, trl: { gradient_checkpointing: true }, axolotl: { gradient_checkpointing: true } },
    { said: { recompute: 'all' }, trl: { gradient_checkpointing: true }, axolotl: { gradient_checkpointing: true } },
    { said: { recompute: 'none' }, trl: { gradient_checkpointing: false }, axolotl: { gradient_checkpointing: false } },
  ],
  precision: [
    { said: {}, trl: { bf16: true, dtype: 'bfloat16' }, axolotl: { bf16: true } },
    {
      said: { precision: 'exact' },
      trl: { bf16: false, dtype: 'float32', tf32: false },
      axolotl: { bf16: false, fp16: false, tf32: false },
    },
    { said: { precision: 'exact', quantize: 'nf4' }, trl: /precision "exact"; it keeps the adapter/, axolotl: { load_in_4bit: true } },
  ],
  quantize: [
    { said: { quantize: 'none' }, trl: { load_in_4bit: false }, axolotl: { adapter: 'lora' } },
    {
      said: { quantize: 'nf4' },
      trl: { load_in_4bit: true, bnb_4bit_quant_type: 'nf4', use_bnb_nested_quant: false },
      axolotl: { adapter: 'qlora', load_in_4bit: true, bnb_config_kwargs: { bnb_4bit_use_double_quant: false } },
    },
    { said: { quantize: 'int8' }, trl: /quantize "int8"/, axolotl: /quantize "int8"/ },
  ],
};

describe('every setting of ours is told to the other program, or refused by its name', () => {
  test('the table has all settings', () => {
    expect(Object.keys(table).sort()).toEqual([...settingNames].sort());
  });

  const cases = Object.entries(table).flatMap(([setting, list]) =>
    list.flatMap(({ said, more, ...expected }) =>
      engineNames.map((engine) => ({ setting, engine, said, more, expected: expected[engine] })),
    ),
  );
  test.each(cases)('$engine: $setting $said', ({ engine, said, more, expected }) => {
    const config = () => engineConfig(engine, run(said, more));
    if (expected instanceof RegExp) expect(config).toThrow(expected);
    else expect(config()).toMatchObject(expected);
  });

  test.each(engineNames)('%s: each other value of a setting is another configuration', (engine) => {
    const plain = engineYaml(engine, run());
    const others: Partial<TrainingSettings>[] = [
      ...[{ rank: 9 }, { alpha: 9 }, { dropout: 0.1 }, { rslora: true }, { dora: true }, { targets: ['q_proj'] }, { learningRate: 1 }],
      ...[
        { schedule: 'cosine' as const },
        { warmup: 9 },
        { weightDecay: 1 },
        { maxGradientNorm: 9 },
        { batchSize: 9 },
        { accumulation: 9 },
      ],
      ...[
        { epochs: 9 },
        { maxSteps: 9 },
        { maxLength: 9 },
        { seed: 9 },
        { evaluationEvery: 9 },
        { keep: 9 },
        { recompute: 'none' as const },
      ],
      ...[{ precision: 'exact' as const }, { quantize: 'nf4' as const }],
    ];
    for (const said of others) expect(engineYaml(engine, run(said)), JSON.stringify(said)).not.toBe(plain);
  });
});

describe('what the programs are given', () => {
  const golden = join(import.meta.dirname, '../golden/engines');
  const cases = readdirSync(golden).flatMap((name) => engineNames.map((engine) => ({ name, engine })));

  // Read by TRL's and Axolotl's own parsers in bench/er-llm/engines.ts.
  test.each(cases)('$name for $engine, to the letter', ({ name, engine }) => {
    const { settings, ...more } = parse(readFileSync(join(golden, name, 'run.yaml'), 'utf8')) as {
      readonly settings: Readonly<Record<string, unknown>>;
    };
    expect(engineYaml(engine, run(settings, more))).toBe(readFileSync(join(golden, name, `${engine}.yaml`), 'utf8'));
  });

  test('numbers and words are what they are in YAML 1.1, too', () => {
    const text = engineYaml('trl', run({ learningRate: 1e-7, evaluationEvery: 'never' }));
    expect(text).toContain('learning_rate: 1.0e-7\n');
    expect(text).toContain('eval_strategy: "no"\n');
  });

  test.each<{ engine: EngineName; says: string }>([
    { engine: 'trl', says: 'exec trl sft --config trl.yaml --num_processes 4\n' },
    { engine: 'axolotl', says: 'exec axolotl train axolotl.yaml --launcher accelerate -- --num_processes=4\n' },
  ])('$engine is started with nothing fetched and nothing sent', ({ engine, says }) => {
    const script = engineScript(engine, 4);
    expect(script.endsWith(says)).toBe(true);
    for (const word of ['HF_HUB_OFFLINE=1', 'DO_NOT_TRACK=1', 'HF_HUB_DISABLE_TELEMETRY=1']) expect(script).toContain(word);
  });
});
