// Rotary position embedding: pair i of a head's numbers turns by position * base^(-2i/dim); stretched models turn slower.
// Sources: Su et al., "RoFormer", 2021; Llama 3.1's piecewise stretch as published with its weights.

import type { Rope } from './config.ts';

/** Turns per position for each of the dim / 2 pairs, in radians. */
export function ropeFrequencies({ base, scaling }: Rope, dim: number): Float64Array {
  return Float64Array.from({ length: dim / 2 }, (_, i) => {
    const frequency = Math.fround(1 / base ** ((2 * i) / dim));
    if (scaling.kind === 'none') return frequency;
    if (scaling.kind === 'linear') return frequency / scaling.factor;
    const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = scaling;
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength < originalContext / high) return frequency;
    if (wavelength > originalContext / low) return frequency / factor;
    const smooth = (originalContext / wavelength - low) / (high - low);
    return ((1 - smooth) * frequency) / factor + smooth * frequency;
  });
}

/** Cosines and sines of positions 0 up to `positions`, each [positions, dim / 2]. */
export function ropeTables(rope: Rope, { dim, positions }: { readonly dim: number; readonly positions: number }) {
  const frequencies = ropeFrequencies(rope, dim);
  const half = dim / 2;
  const cosines = new Float32Array(positions * half);
  const sines = new Float32Array(positions * half);
  for (let position = 0; position < positions; position++) {
    for (let i = 0; i < half; i++) {
      // The product is rounded to 32 bits, as PyTorch's: at far positions the difference would show.
      const angle = Math.fround(position * Math.fround(frequencies[i]!));
      cosines[position * half + i] = Math.cos(angle);
      sines[position * half + i] = Math.sin(angle);
    }
  }
  return { cosines, sines };
}
