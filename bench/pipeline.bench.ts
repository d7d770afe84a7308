// npm run bench -- pipeline: the pipeline runner beside real DVC (bench/peers/setup.sh).
//
// Conformance over the cases of test/pipeline/cases, a repro with nothing to do, hashing, and a runner that is killed again and again.
// --quick takes every sixth case, a smaller file, fewer rounds and kills.

import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { conformance } from './pipeline/conformance.ts';
import { hashing } from './pipeline/hashing.ts';
import { kills } from './pipeline/kills.ts';
import { noOp } from './pipeline/no-op.ts';
import type { Row } from './row.ts';

export async function* bench({ quick }: { readonly quick: boolean }): AsyncGenerator<Row> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'clinfuse-bench-')));
  try {
    yield* noOp({ folder, quick });
    yield* hashing({ folder, quick });
    yield* conformance({ folder, quick });
    yield* kills({ folder, quick });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
