// Two sources, linked one to one: m from known persons where some are known, clusters by single best links.
import { bestLinks, type Comparison, Database, Linker } from '../src/index.ts';

await using db = await Database.open();
await db.run(`create table records as select * from (values
  ('clinic', 1, 'Ann', 'Oakley', '1950-02-03', 'p1'), ('clinic', 2, 'Bob', 'Elmer', '1961-07-08', 'p2'), ('clinic', 3, 'Cyd', 'Ash', '1972-01-01', null),
  ('registry', 1, 'Anne', 'Oakley', '1950-02-03', 'p1'), ('registry', 2, 'Rob', 'Elmer', '1961-07-08', 'p2'), ('registry', 3, 'Cyd', 'Ash', '1972-01-01', null),
  ('registry', 4, 'Cyd', 'Ash', '1972-01-10', null)) t(source_dataset, id, first_name, last_name, born, known)`);

const text = (column: string): Comparison => ({
  name: column,
  levels: [
    { condition: { kind: 'null', column }, isNull: true },
    { condition: { kind: 'exact', column } },
    { condition: { kind: 'levenshtein', column, atMost: 2 } },
    { condition: { kind: 'else' } },
  ],
});
await using linker = await Linker.open({
  db,
  table: 'records',
  settings: {
    linkType: 'link_only',
    uniqueId: 'id',
    source: 'source_dataset',
    prior: 0.2,
    comparisons: ['first_name', 'last_name', 'born'].map(text),
    blockingRules: [{ on: ['last_name'] }],
  },
});
const { labelPairs, untrained } = await linker.train({ emRules: [], labels: { column: 'known' } });
console.log(`m from ${labelPairs} known pairs; not met among them: ${untrained.length} levels`);

const { left, right, matchWeight } = await linker.predict({ threshold: 0.5 });
// Records are numbered by source and id. Neither source holds a person twice: the registry's second Cyd stays alone.
const source = [0, 0, 0, 1, 1, 1, 1];
const clusters = bestLinks({ count: linker.recordCount, left, right, probability: matchWeight, source });
console.log(`${left.length} pairs between the sources, cluster of each record: ${clusters.join(' ')}`);
