// Rotary position embedding: pair i of a head's numbers turns by position * base^(-2i/dim); stretched models turn slower.
// Sources: Su et al., "RoFormer", 2021; Llama 3.1's piecewise stretch as published with its weights.

import type { Rope } from './config.ts';

/**
 * Turns per position for each of the dim / 2 pairs, in radians. Every step is rounded to 32 bits as PyTorch's: a model was trained with
 * those, and at position 8000 the last bit of a frequency is worth 0.0005 radians.
 */
export function ropeFrequencies({ base, scaling }: Rope, dim: number): Float32Array {
  return Float32Array.from({ length: dim / 2 }, (_, i) => {
    const frequency = f32(1 / f32(base ** f32((2 * i) / dim)));
    if (scaling.kind === 'none') return frequency;
    if (scaling.kind === 'linear') return frequency / scaling.factor;
    const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = scaling;
    const wavelength = f32((2 * Math.PI) / frequency);
    if (wavelength < originalContext / high) return frequency;
    if (wavelength > originalContext / low) return frequency / factor;
    const smooth = f32(f32(f32(originalContext / wavelength) - low) / f32(high - low));
    return f32(f32(f32(1 - smooth) * frequency) / factor) + f32(smooth * frequency);
  });
}

const f32 = Math.fround;

/** Cosines and sines of positions 0 up to `positions`, each [positions, dim / 2]. */
export function ropeTables(rope: Rope, { dim, positions }: { readonly dim: number; readonly positions: number }) {
  const frequencies = ropeFrequencies(rope, dim);
  const half = dim / 2;
  const cosines = new Float32Array(positions * half);
  const sines = new Float32Array(positions * half);
  for (let position = 0; position < positions; position++) {
    for (let i = 0; i < half; i++) {
      // The product is rounded to 32 bits, as PyTorch's: at far positions the difference would show.
      const angle = f32(position * frequencies[i]!);
      cosines[position * half + i] = Math.cos(angle);
      sines[position * half + i] = Math.sin(angle);
    }
  }
  return { cosines, sines };
}
