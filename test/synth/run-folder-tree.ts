// Shared by the tests of segment and inject-errors: a small typed population, made once, and folders compared byte by byte.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { Database } from '../../src/sql/duckdb.ts';
import { ingest } from '../../src/synth/ingest.ts';
import { population, writeCsv } from './csv-fixture.ts';

/** Ingests a small population into `folder/parquet` and returns that path. */
export async function smallPopulation(folder: string, people = 60): Promise<string> {
  const output = join(folder, 'parquet');
  await ingest({ input: writeCsv(join(folder, 'csv'), population(people)), output });
  return output;
}

/** Names of all files below a folder, sorted, with their bytes. */
export function tree(folder: string): ReadonlyMap<string, Buffer> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => statSync(join(folder, name)).isFile());
  return new Map(names.sort().map((name) => [name, readFileSync(join(folder, name))]));
}

/** Names of the files that differ between two folders, or are in only one. */
export function differences(a: string, b: string): readonly string[] {
  const [left, right] = [tree(a), tree(b)];
  const names = new Set([...left.keys(), ...right.keys()]);
  return [...names].filter((name) => !left.get(name)?.equals(right.get(name) ?? Buffer.alloc(0)));
}

/** Rows of a query in a database of its own. */
export async function query<T extends object>(sql: string): Promise<T[]> {
  await using db = await Database.open();
  return await db.rows<T>(sql);
}
