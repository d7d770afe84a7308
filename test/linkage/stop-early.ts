// Stops pools whose worker has just said that there was nothing left for it to do, and says so when all have stopped.

import { wholeBlock } from '../../src/linkage/blocking.ts';
import type { Chore } from '../../src/linkage/chores.ts';
import { createPairSource } from '../../src/linkage/pair-source.ts';
import { createPool } from '../../src/linkage/workers.ts';

const records = 2000;
const codes = Int32Array.from({ length: records }, (_, record) => record % 7);
const chore: Chore = { name: 'rule', columns: [{ codes, valueCount: 7 }] };
const data = {
  ...{ codes: [codes], dictionaryOf: [0], dictionaries: [undefined], numbers: [], lists: [], vectors: [], points: [] },
  comparisons: [],
};
const pairs = (records * (records - 1)) / 2;
for (let round = 0; round < 4; round++) {
  const pool = createPool({ threads: 2, pairsWorthThreads: 0, isReady: true });
  // A worker that has worked takes a while to end.
  await pool.run({ data, source: createPairSource([wholeBlock(records)], {}, 1000), job: { kind: 'list' }, pairs });
  for (const done of pool.begin([chore, chore])) await done();
  // Its answers arrive while this thread looks the other way, and are heard only after it was told to end.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30);
  await pool.stop();
}
process.stdout.write('stopped');
