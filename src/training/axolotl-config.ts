// A run as `axolotl train` reads it. Where Axolotl would settle something by itself (warm-up, packing, nested quantisation, length), it is told.
// Source: Axolotl 0.19, axolotl/utils/schemas, core/builders; tested with its own schema (bench/peers/engines-check.py).

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

/** Rows that are tokens already have no type. */
const tokens = (path: string) => ({ path, ds_type: 'json', split: 'train', type: null });

/** What no setting decides. */
export const axolotlRun = ({ model, hasValidation, resumeFrom }: EngineRun): EngineKeys => ({
  base_model: model,
  datasets: [tokens(engineFiles.train)],
  ...(hasValidation && { test_datasets: [tokens(engineFiles.validation)] }),
  val_set_size: 0,
  dataset_prepared_path: 'prepared',
  output_dir: engineFiles.output,
  ...(resumeFrom !== undefined && { resume_from_checkpoint: resumeFrom }),
  optimizer: 'adamw_torch',
  sample_packing: false,
  pad_to_sequence_len: false,
  excess_length_strategy: 'truncate',
  logging_steps: 1,
});

export const axolotlRules: EngineRules = {
  ...sharedRules('axolotl'),
  rslora: ({ settings }) => ({ peft_use_rslora: settings.rslora }),
  dora: ({ settings }) => ({ peft_use_dora: settings.dora }),
  targets: (run) => ({ lora_target_modules: peftTargets(run) }),
  schedule: (run) => ({ lr_scheduler: scheduleName(run) }),
  warmup: (run) => {
    const steps = warmup(run);
    return steps === 1 ? refuse('axolotl', 'warmup', run, 'it makes two steps of one; set 0, or 2 steps') : { warmup_steps: steps };
  },
  batchSize: ({ settings: { batchSize } }) => ({ micro_batch_size: batchSize, eval_batch_size: batchSize }),
  epochs: ({ settings }) => ({ num_epochs: settings.epochs }),
  maxLength: ({ settings }) => ({ sequence_len: settings.maxLength }),
  labelSmoothing: (run) =>
    run.settings.labelSmoothing === 0 ? {} : refuse('axolotl', 'labelSmoothing', run, 'it has none; set 0, or use trl'),
  evaluationEvery: (run) => {
    const { evaluationEvery: every } = run.settings;
    if (!evaluates(run)) return { eval_strategy: 'no' };
    return every === 'epoch' ? { eval_strategy: 'epoch' } : { eval_strategy: 'steps', eval_steps: every };
  },
  patience: (run) => {
    const { patience, evaluationEvery } = run.settings;
    if (patience === undefined) return {};
    if (!evaluates(run)) return refuse('axolotl', 'patience', run, 'there is nothing to evaluate on');
    if (evaluationEvery === 'epoch') return refuse('axolotl', 'patience', run, 'it counts in steps: set evaluationEvery to a number');
    return { early_stopping_patience: patience };
  },
  checkpointEvery: (run) => {
    const every = checkpointInterval('axolotl', run);
    return every === 'epoch' ? { save_strategy: 'epoch' } : { save_strategy: 'steps', save_steps: every };
  },
  precision: ({ settings }) => (settings.precision === 'fast' ? { bf16: true } : { bf16: false, fp16: false, tf32: false }),
  quantize: (run) => {
    if (run.settings.quantize === 'none') return { adapter: 'lora' };
    if (run.settings.quantize === 'nf4') {
      return { adapter: 'qlora', load_in_4bit: true, bnb_config_kwargs: { bnb_4bit_use_double_quant: false } };
    }
    return refuse('axolotl', 'quantize', run, 'its 8 bits are others, computed in half precision; set nf4 or none');
  },
};
