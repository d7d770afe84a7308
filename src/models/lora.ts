// A new adapter. A is uniform in +-1 / sqrt(in), which is Kaiming's rule as PEFT asks for it (a = sqrt 5); B is zero, so that training
// starts from the base model itself; DoRA's lengths are those of the base weight's rows, quantised bases spelled out first. Every array
// is drawn from a stream of its own, so that it does not depend on which other layers are adapted.
// Sources: Hu et al., "LoRA", 2021; Liu et al., "DoRA", 2024; PEFT 0.21, reset_lora_parameters.

import { UserError } from '../base/errors.ts';
import { random } from '../base/random.ts';
import type { Adapter, AdapterModule, SavedTensor } from './adapter.ts';
import { type AdapterSettings, asNames, isAllLinear, type TargetModule, targetModules } from './adapter-settings.ts';
import type { ModelConfig } from './config.ts';
import { type LinearName, linearNames } from './decoder-layer.ts';
import { sizeOf, toFloat32 } from './expand.ts';
import type { Resident } from './resident.ts';
import { tensorShapes } from './tensor-shapes.ts';

export type NewAdapter = {
  readonly settings: AdapterSettings;
  readonly seed: number;
  /** Classes of the head that is trained with the adapter; only for classification. */
  readonly labels?: number;
  /** Draws a new head even where the base has one of that size. */
  readonly hasNewHead?: boolean;
};

/**
 * Makes an adapter that does not change the model yet; but for a new head.
 *
 * @throws UserError `lora.no-target`, `lora.settings`, `adapter.pattern`
 */
export function newAdapter(resident: Resident, { settings, seed, labels, hasNewHead = false }: NewAdapter): Adapter {
  const { config, layers } = resident;
  const modules = new Map<string, AdapterModule>();
  for (const { name, out, inner, shape } of plannedModules(config, settings)) {
    const a = uniform(shape.rank * inner, { bound: 1 / Math.sqrt(inner), keys: [seed, 'lora_A', name] });
    const [, layer, linear] = /^model\.layers\.(\d+)\.(.+)$/.exec(name)!;
    const weight = shape.dora ? toFloat32(layers[Number(layer)]!.linears[linear as LinearName]) : undefined;
    modules.set(name, { shape, a, b: new Float32Array(out * shape.rank), ...(weight && { magnitude: rowLengths(weight, inner) }) });
  }
  return { modules, saved: new Map(settings.task === 'SEQ_CLS' ? [['score.weight', head(resident, { seed, labels, hasNewHead })]] : []) };
}

/** Numbers that would be trained, and all numbers of the model with them; no weights needed. */
export function countParameters(
  config: ModelConfig,
  { settings, labels = config.labels?.length }: { readonly settings: AdapterSettings; readonly labels?: number | undefined },
): { readonly trainable: number; readonly total: number } {
  let trainable = 0;
  for (const { out, inner, shape } of plannedModules(config, settings)) trainable += shape.rank * (out + inner) + (shape.dora ? out : 0);
  const isClass = settings.task === 'SEQ_CLS';
  if (isClass) trainable += labelCount(labels) * config.hiddenSize;
  let total = trainable;
  // The head takes the place of the base's own, and of its head for words.
  const shapes = tensorShapes(isClass ? { ...config, labels: [] } : config);
  for (const [name, shape] of shapes) if (name !== 'score.weight') total += sizeOf(shape);
  return { trainable, total };
}

/** The modules to adapt; every name in a list of targets must mean something. */
function plannedModules(config: ModelConfig, settings: AdapterSettings): readonly TargetModule[] {
  const { targets, rank, alpha, dropout } = settings;
  if (!(Number.isInteger(rank) && rank > 0)) throw invalid('rank', rank, 'a whole number from 1');
  if (!(alpha > 0)) throw invalid('alpha', alpha, 'a number above 0');
  if (!(dropout >= 0 && dropout < 1)) throw invalid('dropout', dropout, 'a share from 0, below 1');
  const modules = targetModules(config, settings);
  const names = asNames(targets);
  const wanted = typeof names === 'string' ? [] : names;
  const idle = wanted.find((target) => targetModules(config, { ...settings, targets: [target] }).length === 0);
  if (idle !== undefined || modules.length === 0) {
    const known = linearNames.map((name) => name.slice(name.indexOf('.') + 1)).join(', ');
    const shown = idle ?? (isAllLinear(targets) ? 'all-linear' : String(targets));
    throw new UserError('lora.no-target', `lora: target names no linear layer: ${shown}; layers: ${known}, or all-linear`);
  }
  return modules;
}

/** Classification head, [labels, hidden]. */
function head(
  { config, score }: Resident,
  { seed, labels = config.labels?.length, hasNewHead }: { seed: number; labels: number | undefined; hasNewHead: boolean },
): SavedTensor {
  const shape = [labelCount(labels), config.hiddenSize];
  if (score && !hasNewHead && score.shape[0] === shape[0]) return { shape, data: score.data.slice() };
  return newHead(config, { seed, labels: shape[0]! });
}

/** A classification head as a new model gets it: normal, with the config's own spread. */
export function newHead(config: ModelConfig, { seed, labels }: { readonly seed: number; readonly labels: number }): SavedTensor {
  const shape = [labels, config.hiddenSize];
  const range = config.source['initializer_range'];
  return { shape, data: normal(sizeOf(shape), { deviation: typeof range === 'number' ? range : 0.02, keys: [seed, 'score'] }) };
}

function labelCount(labels: number | undefined): number {
  if (labels === undefined || labels < 2) throw invalid('labels', labels ?? 'none', 'at least two classes');
  return labels;
}

type Stream = { readonly keys: readonly (number | string)[] };

function uniform(size: number, { bound, keys }: Stream & { readonly bound: number }): Float32Array {
  const stream = random(...keys);
  return Float32Array.from({ length: size }, () => (2 * stream.float() - 1) * bound);
}

/** Box and Muller's: two uniform numbers make one normal one. */
function normal(size: number, { deviation, keys }: Stream & { readonly deviation: number }): Float32Array {
  const stream = random(...keys);
  return Float32Array.from({ length: size }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - stream.float()));
    return deviation * radius * Math.cos(2 * Math.PI * stream.float());
  });
}

function rowLengths(values: Float32Array, columns: number): Float32Array {
  const squares = new Float64Array(values.length / columns);
  for (let row = 0; row < squares.length; row++) {
    let sum = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) sum += values[i]! * values[i]!;
    squares[row] = sum;
  }
  return Float32Array.from(squares, Math.sqrt);
}

const invalid = (what: string, value: number | string, want: string) =>
  new UserError('lora.settings', `lora: ${what} out of range: ${value}; give ${want}`);
