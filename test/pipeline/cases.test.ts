import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { pipelineCases } from './cases.ts';
import { seenByDvc } from './seen.ts';

describe('pipeline cases', () => {
  test('names are used once, and DVC was asked about each', () => {
    const names = pipelineCases.map(({ name }) => name).sort();
    const stored = readdirSync(join(import.meta.dirname, '..', 'oracle', 'dvc-cases'), { withFileTypes: true });
    expect(stored.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort()).toEqual(names);
  });

  test.each(pipelineCases.map((one) => [one.name, one] as const))('%s: DVC answered every step as it stands', (name, { steps }) => {
    expect(seenByDvc(name).map(({ about }) => about)).toEqual(steps.map(({ about, sh }) => about ?? sh));
  });
});
