// A run as TRL's `trl sft --config` reads it: keys of its ScriptArguments, SFTConfig (transformers' TrainingArguments and more) and ModelConfig.
// Source: TRL 1.16, trl/scripts/sft.py, trainer/sft_config.py, trainer/model_config.py; tested with its own parser (bench/peers/engines-check.py).

import {
  checkpointInterval,
  type EngineKeys,
  type EngineRules,
  type EngineRun,
  engineFiles,
  evaluates,
  peftTargets,
  refuse,
  scheduleName,
  sharedRules,
  warmup,
} from './engine-rules.ts';

/** What no setting decides. NaN is to be seen in the log, nothing is sent anywhere, and batches come as they are: not packed. */
export const trlRun = ({ model, resumeFrom }: EngineRun): EngineKeys => ({
  model_name_or_path: model,
  dataset_name: engineFiles.data,
  dataset_train_split: 'train',
  dataset_test_split: 'validation',
  output_dir: engineFiles.output,
  ...(resumeFrom !== undefined && { resume_from_checkpoint: resumeFrom }),
  use_peft: true,
  lora_task_type: 'CAUSAL_LM',
  optim: 'adamw_torch',
  packing: false,
  logging_steps: 1,
  logging_nan_inf_filter: false,
  report_to: 'none',
});

export const trlRules: EngineRules = {
  ...sharedRules('trl'),
  rslora: ({ settings }) => ({ use_rslora: settings.rslora }),
  dora: ({ settings }) => ({ use_dora: settings.dora }),
  targets: (run) => ({ lora_target_modules: [peftTargets(run)].flat() }),
  schedule: (run) => ({ lr_scheduler_type: scheduleName(run) }),
  warmup: (run) => ({ warmup_steps: warmup(run) }),
  batchSize: ({ settings: { batchSize } }) => ({ per_device_train_batch_size: batchSize, per_device_eval_batch_size: batchSize }),
  epochs: ({ settings }) => ({ num_train_epochs: settings.epochs }),
  maxLength: ({ settings }) => ({ max_length: settings.maxLength }),
  labelSmoothing: ({ settings }) => ({ label_smoothing_factor: settings.labelSmoothing }),
  evaluationEvery: (run) => {
    const { evaluationEvery: every } = run.settings;
    if (!evaluates(run)) return { eval_strategy: 'no' };
    return { eval_strategy: every === 'epoch' ? 'epoch' : 'steps', ...(every !== 'epoch' && { eval_steps: every }), eval_on_start: true };
  },
  patience: (run) =>
    run.settings.patience === undefined
      ? {}
      : refuse('trl', 'patience', run, 'its command has no early stop; leave it out, or use axolotl'),
  checkpointEvery: (run) => {
    const every = checkpointInterval('trl', run);
    return {
      ...(every === 'epoch' ? { save_strategy: 'epoch' } : { save_strategy: 'steps', save_steps: every }),
      load_best_model_at_end: evaluates(run),
    };
  },
  precision: (run) => {
    if (run.settings.precision === 'fast') return { dtype: 'bfloat16', bf16: true };
    if (run.settings.quantize !== 'nf4') return { dtype: 'float32', bf16: false, tf32: false };
    return refuse('trl', 'precision', run, 'it keeps the adapter of an NF4 model in bfloat16; set precision fast');
  },
  quantize: (run) => {
    if (run.settings.quantize === 'none') return { load_in_4bit: false };
    if (run.settings.quantize === 'nf4') return { load_in_4bit: true, bnb_4bit_quant_type: 'nf4', use_bnb_nested_quant: false };
    return refuse('trl', 'quantize', run, 'its 8 bits are others, computed in half precision; set nf4 or none');
  },
};
