// Fine-tuning by another program, for more than one GPU: what TRL and Axolotl are told of a run of ours. Every setting has one rule for each
// of them: it becomes keys of that program's own configuration, or is refused by name; the compiler lists a setting without a rule.
//
// The data set is handed over as tokens with their targets (`input_ids`, `labels`; -100: not learned), a form both programs read. So neither
// program's template, cut or mask decides what is learned: it is what our own trainer would learn, token by token.
// A step keeps its rows, however many GPUs share them: batchSize x accumulation, the accumulation divided among the GPUs.

import { stringify } from 'yaml';

import { axolotlRules, axolotlRun } from './axolotl-config.ts';
import type { EngineKeys, EngineName, EngineRules, EngineRun } from './engine-rules.ts';
import { settingNames } from './training-settings.ts';
import { trlRules, trlRun } from './trl-config.ts';

type Engine = {
  readonly rules: EngineRules;
  readonly fixed: (run: EngineRun) => EngineKeys;
  readonly install: string;
  readonly command: (processes: number) => string;
};

const engines: Readonly<Record<EngineName, Engine>> = {
  trl: {
    ...{ rules: trlRules, fixed: trlRun },
    install: "pip install 'trl[peft,quantization]'",
    command: (processes) => `trl sft --config trl.yaml --num_processes ${processes}`,
  },
  axolotl: {
    ...{ rules: axolotlRules, fixed: axolotlRun },
    install: 'pip install --no-build-isolation axolotl',
    command: (processes) => `axolotl train axolotl.yaml --launcher accelerate -- --num_processes=${processes}`,
  },
};

/**
 * The configuration of a run, as keys and values.
 *
 * @throws UserError `engine.setting` naming the setting that the program has nothing for
 */
export function engineConfig(engine: EngineName, run: EngineRun): EngineKeys {
  const { rules, fixed } = engines[engine];
  return Object.assign({}, fixed(run), ...settingNames.map((name) => rules[name](run)));
}

/** The configuration as YAML 1.1, which Python reads: `no` in quotes, a point before an exponent. */
export function engineYaml(engine: EngineName, run: EngineRun): string {
  return stringify(engineConfig(engine, run), { version: '1.1', lineWidth: 0 }).replace(/: (-?\d+)e(-?\d+)$/gm, ': $1.0e$2');
}

/**
 * What is taken where nothing is said: bfloat16 (`precision: fast`), as is usual on GPUs; the loss, the one figure both evaluate; and a
 * checkpoint at each evaluation (`every`, where none is said either), since the best step is found among checkpoints.
 */
export function engineDefaults(
  said: Readonly<Record<string, unknown>>,
  every: number | 'epoch' = 'epoch',
): Readonly<Record<string, unknown>> {
  const { evaluationEvery = every } = said;
  return { precision: 'fast', metric: 'loss', ...(evaluationEvery !== 'never' && { evaluationEvery, checkpointEvery: evaluationEvery }) };
}

/** How the program is installed. */
export const installCommand = (engine: EngineName): string => engines[engine].install;

/** Starts the program from wherever it is called: with nothing sent out, nothing fetched, and caches beside the run. */
export function engineScript(engine: EngineName, processes: number): string {
  return [
    '#!/bin/sh',
    'cd "$(dirname "$0")" || exit 1',
    'export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 DO_NOT_TRACK=1 AXOLOTL_DO_NOT_TRACK=1 WANDB_MODE=disabled',
    'export HF_DATASETS_CACHE="$PWD/cache"',
    `exec ${engines[engine].command(processes)}`,
    '',
  ].join('\n');
}
