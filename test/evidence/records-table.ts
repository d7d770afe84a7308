import { type Database, literal } from '../../src/sql/duckdb.ts';

/** What a record in a test may say; the rest is null. */
export type TestRecord = {
  readonly facility?: number;
  readonly gender?: string;
  readonly first_name?: string;
  readonly last_name?: string;
  readonly maiden_name?: string;
  readonly birthdate?: string;
  readonly ssn?: string;
  readonly address_canonical?: string;
  readonly city_canonical?: string;
  readonly zip?: string;
};

const columns = [
  'first_name',
  'last_name',
  'maiden_name',
  'birthdate',
  'ssn',
  'address_canonical',
  'city_canonical',
  'zip',
  'gender',
] as const;

/** Creates the table `records` as loadRecords does, of these records in this order. */
export async function createRecords(db: Database, records: readonly TestRecord[]): Promise<void> {
  const types = columns.map((column) => `${column} ${column === 'birthdate' ? 'DATE' : 'VARCHAR'}`).join(', ');
  await db.run(`create or replace table records (row INTEGER, facility INTEGER, ${types})`);
  for (const [row, record] of records.entries()) {
    const values = columns.map((column) => (record[column] === undefined ? 'null' : literal(record[column])));
    await db.run(`insert into records values (${[row, record.facility ?? row + 1, ...values].join(', ')})`);
  }
}
