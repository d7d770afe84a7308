// Link one table: which rows speak of one person, by demographics alone and without labels.

import { join } from 'node:path';

import { type Comparison, type Condition, connectedComponents, Database, type LinkageSettings, Linker } from '../src/index.ts';

// Any table that DuckDB can read: here the patients of all five facilities of the sample, with 8 to 12 errors in many a record.
const files = join(import.meta.dirname, 'data', 'facilities', '*', 'patients.parquet');
await using db = await Database.open();
await db.run(`create table people as
  select concat(parse_path(filename)[-2], '/', "Id") as id, "FIRST" as first_name, "LAST" as last_name, cast("BIRTHDATE" as varchar) as birthdate,
    "SSN" as ssn, "ADDRESS" as address, cast("ZIP" as varchar) as zip
  from read_parquet('${files}', filename = true, union_by_name = true)`);

/** Levels from best to worst; the last two hold what is near and all the rest. */
const field = (column: string, near: Condition, rarity = false): Comparison => ({
  name: column,
  levels: [
    { condition: { kind: 'null', column }, isNull: true },
    { condition: { kind: 'exact', column }, ...(rarity ? { termFrequency: { column } } : {}) },
    { condition: near },
    { condition: { kind: 'else' } },
  ],
});
const alike = (column: string): Condition => ({ kind: 'jaroWinkler', column, atLeast: 0.88 });
const edits = (column: string, atMost: number): Condition => ({ kind: 'damerauLevenshtein', column, atMost });

const settings: LinkageSettings = {
  linkType: 'dedupe_only',
  uniqueId: 'id',
  prior: 1e-4,
  comparisons: [
    field('first_name', alike('first_name'), true),
    field('last_name', alike('last_name'), true),
    field('birthdate', edits('birthdate', 1)),
    field('ssn', edits('ssn', 2)),
    field('address', edits('address', 3)),
  ],
  blockingRules: [{ on: ['ssn'] }, { on: ['birthdate'] }, { on: ['address'] }, { on: ['first_name', 'zip'] }],
};

await using linker = await Linker.open({ db, table: 'people', settings });
for (const { rule, pairs } of await linker.countPairs()) console.log(`${rule}: ${pairs} pairs to look at`);

const { sessions } = await linker.train({
  deterministicRules: [{ on: ['ssn'] }],
  recall: 0.6,
  emRules: [{ on: ['birthdate'] }, { on: ['ssn'] }],
});
for (const { rule, converged, iterations } of sessions)
  console.log(`EM on ${rule}: ${converged ? '' : 'not '}converged after ${iterations}`);

const pairs = await linker.predict({ threshold: 0.95 });
const people = new Set(connectedComponents(linker.recordCount, pairs.left, pairs.right)).size;
console.log(`${linker.recordCount} records, ${pairs.count} links, ${people} people`);
