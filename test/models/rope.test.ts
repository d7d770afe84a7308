import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { expect, test } from 'vitest';

import type { RopeScaling } from '../../src/models/config.ts';
import { ropeTables } from '../../src/models/rope.ts';

type Case = {
  readonly dim: number;
  readonly parameters: Readonly<Record<string, number>> & { readonly rope_type: string };
  readonly positions: readonly number[];
  readonly cosines: readonly (readonly number[])[];
  readonly sines: readonly (readonly number[])[];
};
const file = resolve(import.meta.dirname, '..', 'oracle', 'llm', 'generate', 'oracle.json');
const { rope } = JSON.parse(readFileSync(file, 'utf8')) as { readonly rope: readonly Case[] };

function scalingOf({ rope_type, ...numbers }: Case['parameters']): RopeScaling {
  if (rope_type === 'default') return { kind: 'none' };
  if (rope_type === 'linear') return { kind: 'linear', factor: numbers['factor']! };
  return {
    kind: 'llama3',
    factor: numbers['factor']!,
    lowFrequencyFactor: numbers['low_freq_factor']!,
    highFrequencyFactor: numbers['high_freq_factor']!,
    originalContext: numbers['original_max_position_embeddings']!,
  };
}

test.each(rope)('cosines and sines of $dim numbers, $parameters, are those of transformers up to 8k', ({ dim, parameters, ...oracle }) => {
  const { cosines, sines } = ropeTables({ base: parameters['rope_theta']!, scaling: scalingOf(parameters) }, { dim, positions: 8192 });
  let worst = 0;
  for (const [row, position] of oracle.positions.entries()) {
    for (let i = 0; i < dim / 2; i++) {
      const at = (position * dim) / 2 + i;
      worst = Math.max(worst, Math.abs(cosines[at]! - oracle.cosines[row]![i]!), Math.abs(sines[at]! - oracle.sines[row]![i]!));
    }
  }
  expect(worst).toBeLessThan(1e-6);
});
