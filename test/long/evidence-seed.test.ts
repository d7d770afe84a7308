import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { trainEvidence } from '../../src/apps/entity-resolution/evidence-train.ts';
import { temporaryFolder } from '../../src/base/files.ts';

test('evidence trained twice by one seed is the same to the byte', async () => {
  const scratch = temporaryFolder();
  try {
    const [first, again] = ['first.json', 'again.json'].map((name) => join(scratch.path, name)) as [string, string];
    for (const out of [first, again]) {
      await trainEvidence({ folder: join(import.meta.dirname, '../../examples/data'), out, seed: 7, otherPairs: 4000, command: 'a test' });
    }
    expect(readFileSync(again).equals(readFileSync(first))).toBe(true);
  } finally {
    scratch.remove();
  }
}, 120_000);
