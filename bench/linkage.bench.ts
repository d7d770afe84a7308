// npm run bench -- linkage: the linkage kernel beside Splink 4 and 5, on made-up people (bench/people.ts).
//
// --quick leaves out 1 M and 3 M records. Each group of figures is a file of bench/linkage.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ownTraining } from './linkage/own-training.ts';
import { parity } from './linkage/parity.ts';
import { wholeProcess } from './linkage/whole.ts';
import type { Row } from './row.ts';

export async function* bench({ quick }: { readonly quick: boolean }): AsyncGenerator<Row> {
  const folder = mkdtempSync(join(tmpdir(), 'clinfuse-bench-'));
  try {
    yield* parity({ folder, sizes: quick ? [10_000] : [100_000, 1_000_000] });
    yield* ownTraining({ folder, sizes: quick ? [10_000] : [100_000, 1_000_000] });
    yield* wholeProcess({ folder, quick });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
