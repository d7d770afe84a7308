// npm run bench -- linkage: the linkage kernel beside Splink 4 and 5, on made-up people (bench/people.ts) and FEBRL.
//
// Each group of figures is a file of bench/linkage. --quick leaves out 1 M and 3 M records, and makes the big block smaller
// (Splink takes seven minutes for 20,000 records).

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { clinfuse } from './clinfuse.ts';
import { clustering } from './linkage/clustering.ts';
import { febrl } from './linkage/febrl.ts';
import { growth } from './linkage/growth.ts';
import { speedSettings, speedTraining, writeModel } from './linkage/model.ts';
import { ownTraining } from './linkage/own-training.ts';
import { parity } from './linkage/parity.ts';
import { sameBytes } from './linkage/same-bytes.ts';
import { skew } from './linkage/skew.ts';
import { wholeProcess } from './linkage/whole.ts';
import { people } from './people.ts';
import type { Row } from './row.ts';

const [tenThousand, hundredThousand, million] = [10_000, 100_000, 1_000_000];

export async function* bench({ quick }: { readonly quick: boolean }): AsyncGenerator<Row> {
  const folder = mkdtempSync(join(tmpdir(), 'clinfuse-bench-'));
  try {
    const settings = writeModel(join(folder, 'settings.json'), speedSettings, speedTraining);
    const model = join(folder, 'model.json');
    clinfuse('link', 'train', '--in', await people({ count: hundredThousand }), '--settings', settings, '--out', model);
    const compared = quick ? [tenThousand] : [hundredThousand, million];
    yield* wholeProcess({
      folder,
      sizes: quick ? [tenThousand, hundredThousand] : [tenThousand, hundredThousand, million],
      settings,
      model,
    });
    yield* growth({ folder, sizes: quick ? [tenThousand, hundredThousand] : [hundredThousand, million, 3 * million], settings, model });
    yield* skew({ folder, count: hundredThousand, block: quick ? 5000 : 20_000, settings, model });
    yield* clustering({ folder, count: quick ? hundredThousand : million, model });
    yield* parity({ folder, sizes: compared });
    yield* ownTraining({ folder, sizes: compared, settings });
    yield* febrl({ folder });
    yield* sameBytes({ folder, count: quick ? tenThousand : hundredThousand, settings });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
