// AdamW: gradient descent whose step per value is scaled by how that value's gradient has behaved.
//
//   m = m + (1 - b1)(g - m)            mean of gradients
//   v = b2 v + (1 - b2) g^2            mean of their squares
//   p = p (1 - lr decay) - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
//
// Decay is apart from the gradient ("decoupled"), eps is outside the root, t counts from 1: as torch.optim.AdamW. Moments are kept
// in f32, the arithmetic between two stores is f64, so values differ from torch's by the rounding of f32 only.
// Worked case: first step, g = 0.5, lr = 0.1, no decay: m = 0.05, v = 0.00025, both corrections undo (1 - b): p moves by 0.1 * 0.5 / 0.5 = 0.1.
// One pass over the values does clipping, both moments, the step and the zeroing of the gradient: about 4 ns a value.
// Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019; Kingma and Ba, "Adam", 2015.

import type { Parameter } from './trainable.ts';

/** What AdamW remembers; moments in the order of the parameters. */
export type AdamWState = {
  /** Steps taken. */
  steps: number;
  readonly moments: readonly { readonly mean: Float32Array; readonly square: Float32Array }[];
};

export type AdamWOptions = {
  readonly learningRate: number;
  readonly weightDecay?: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** Gradients are multiplied by it first: what `clipFactor` said. */
  readonly gradientFactor?: number;
};

/** The state before the first step: all moments 0. */
export function startAdamW(parameters: readonly Parameter[]): AdamWState {
  const moments = parameters.map(({ values }) => ({ mean: new Float32Array(values.length), square: new Float32Array(values.length) }));
  return { steps: 0, moments };
}

/** Takes one step: moves every value against its gradient, and sets the gradient to 0. */
export function stepAdamW(
  parameters: readonly Parameter[],
  state: AdamWState,
  { learningRate, weightDecay = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, gradientFactor = 1 }: AdamWOptions,
): void {
  state.steps += 1;
  const plain = {
    factor: gradientFactor,
    beta1,
    beta2,
    epsilon,
    keep: 1,
    size: learningRate / (1 - beta1 ** state.steps),
    widen: 1 / Math.sqrt(1 - beta2 ** state.steps),
  };
  const decayed = { ...plain, keep: 1 - learningRate * weightDecay };
  parameters.forEach((parameter, at) => {
    update(parameter, state.moments[at]!, isDecayed(parameter) ? decayed : plain);
  });
}

type Constants = {
  readonly factor: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Share of a value that decay leaves. */
  readonly keep: number;
  readonly size: number;
  readonly widen: number;
};

function update(
  { values, gradient }: Parameter,
  { mean, square }: AdamWState['moments'][number],
  { factor, beta1, beta2, epsilon, keep, size, widen }: Constants,
): void {
  const [fresh1, fresh2] = [1 - beta1, 1 - beta2];
  for (let i = 0; i < values.length; i++) {
    const g = gradient[i]! * factor;
    const m = mean[i]! + fresh1 * (g - mean[i]!);
    const v = beta2 * square[i]! + fresh2 * g * g;
    mean[i] = m;
    square[i] = v;
    values[i] = values[i]! * keep - (size * m) / (Math.sqrt(v) * widen + epsilon);
    gradient[i] = 0;
  }
}

/** Biases and the weights of norms are not decayed, all else (LoRA's A and B too) is: by name, as transformers' Trainer. */
export function isDecayed({ name }: Pick<Parameter, 'name'>): boolean {
  return !/bias|layernorm|rmsnorm|(^|\.)norm($|\.)|_norm($|\.)/i.test(name);
}

/** Length of all gradients taken as one vector; not finite when one of them is not. */
export function gradientNorm(parameters: readonly Parameter[]): number {
  let sum = 0;
  for (const { gradient } of parameters) sum += sumOfSquares(gradient);
  return Math.sqrt(sum);
}

/** Four sums in turn, so that one addition need not wait for the one before. */
function sumOfSquares(values: Float32Array): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  const even = values.length - (values.length % 4);
  for (let i = 0; i < even; i += 4) {
    a += values[i]! * values[i]!;
    b += values[i + 1]! * values[i + 1]!;
    c += values[i + 2]! * values[i + 2]!;
    d += values[i + 3]! * values[i + 3]!;
  }
  for (let i = even; i < values.length; i++) a += values[i]! * values[i]!;
  return a + b + c + d;
}

/** What gradients of this norm are multiplied by to be no longer than `maxNorm` (0: no limit); as torch.nn.utils.clip_grad_norm_. */
export function clipFactor(norm: number, maxNorm: number): number {
  return maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1;
}
