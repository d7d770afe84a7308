// Makes a language model with an adapter trainable: the adapter's arrays (and the classification head) become parameters, a batch
// becomes a forward pass, a loss and a backward pass.

import type { AdapterModule } from '../models/adapter.ts';
import { type LinearName, linearNames } from '../models/decoder-layer.ts';
import { toFloat32 } from '../models/expand.ts';
import { type Frozen, int8Tensors, largestWeight } from '../models/fast-backward.ts';
import type { LanguageModel } from '../models/language-model.ts';
import { type LossOptions, lossHead } from '../models/loss.ts';
import { passMemory } from '../models/pass-memory.ts';
import { backwardPass, forwardPass, type PassOptions } from '../models/training-pass.ts';
import type { Parameter, Trainable } from './trainable.ts';

export type FineTuneOptions = LossOptions & {
  /** Names the streams of dropout masks. */
  readonly seed: number;
  /** From the top, how many layers keep their activations for the backward pass; the others compute them again. All by default. */
  readonly keptLayers?: number;
  /** `fast`: 8-bit products in the backward pass, at the cost of one more byte per frozen weight. */
  readonly precision?: 'exact' | 'fast';
};

/** A model whose adapter is trained in place. `close` frees the heads' sessions, not the model's. */
export function fineTune(
  model: LanguageModel,
  { seed, keptLayers = model.config.layers.length, precision = 'exact', ...loss }: FineTuneOptions,
): Trainable & { readonly close: () => Promise<void> } {
  const head = lossHead(model, { ...loss, isFast: precision === 'fast' });
  let int8: Promise<PassOptions['int8']> | undefined;
  const parameters = adapterParameters(model);
  const memory = passMemory();
  const byName = new Map(parameters.map((parameter) => [parameter.name, parameter]));
  const receive = (name: string, gradient: Float32Array): void => {
    const target = byName.get(peftName(name))!.gradient;
    for (let i = 0; i < target.length; i++) target[i]! += gradient[i]!;
  };
  return {
    parameters,
    weightOf: head.weightOf,
    accumulate: async (batch, { denominator, step }) => {
      const options: PassOptions = {
        dropoutKeys: [seed, step],
        keptLayers,
        memory,
        int8: precision === 'fast' ? await (int8 ??= int8Layers(model)) : undefined,
      };
      const trace = await forwardPass(model, batch, options);
      const { lossSum, gradient, scoreGradient } = await head.run(batch, trace.hidden, denominator);
      if (scoreGradient) receive('score.weight', scoreGradient);
      await backwardPass(model, { batch, trace, gradient: gradient!, options, receive });
      return { lossSum, weightSum: head.weightOf(batch) };
    },
    evaluate: async (batch) => {
      const { lossSum, logits } = await head.run(batch, await model.hidden(batch));
      return { lossSum, weightSum: head.weightOf(batch), ...(logits && { logits }) };
    },
    close: head.close,
  };
}

async function int8Layers({ resident: { layers }, sessionOptions }: LanguageModel) {
  const largest = await largestWeight(sessionOptions);
  return layers.map(({ linears }) => {
    const spelt = linearNames.map((name) => [name, { shape: linears[name].shape, data: toFloat32(linears[name]) }]);
    return int8Tensors(Object.fromEntries(spelt) as Record<LinearName, Frozen>, largest);
  });
}

/** What PEFT calls the arrays that `backwardPass` knows as `model.layers.0.self_attn.q_proj.lora_A` and `score.weight`. */
const peftName = (name: string): string => `base_model.model.${name}${/\.lora_[AB]$/.test(name) ? '.weight' : ''}`;

function adapterParameters({ adapter }: LanguageModel): readonly Parameter[] {
  const parameter = (name: string, shape: readonly number[], values: Float32Array): Parameter => ({
    name: peftName(name),
    shape,
    values,
    gradient: new Float32Array(values.length),
  });
  const ofModule = (name: string, { shape: { rank }, a, b, magnitude }: AdapterModule): readonly Parameter[] => [
    parameter(`${name}.lora_A`, [rank, a.length / rank], a),
    parameter(`${name}.lora_B`, [b.length / rank, rank], b),
    ...(magnitude ? [parameter(`${name}.lora_magnitude_vector`, [magnitude.length], magnitude)] : []),
  ];
  return [
    ...[...adapter.modules].flatMap(([name, module]) => ofModule(name, module)),
    ...[...adapter.saved].map(([name, { shape, data }]) => parameter(name, shape, data)),
  ];
}
