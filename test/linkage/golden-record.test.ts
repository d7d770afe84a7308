import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { buildGoldenRecords, type GoldenField, goldenFields, type SourceRecords, strategyNames } from '../../src/linkage/golden-record.ts';

/** Records of which only some fields are given; the others are missing. */
function source(rows: readonly Partial<Record<GoldenField, string | null>>[], updated?: readonly number[]): SourceRecords {
  return {
    recordId: rows.map((_, i) => `facility_00${(i % 5) + 1}_${i}`),
    facilityId: rows.map((_, i) => `facility_00${(i % 5) + 1}`),
    fields: Object.fromEntries(
      goldenFields.map((field) => [field, rows.map((row) => row[field] ?? null)]),
    ) as unknown as SourceRecords['fields'],
    ...(updated ? { updated } : {}),
  };
}

const together = (rows: readonly unknown[]) => rows.map(() => 0);

describe('golden records', () => {
  type Case = {
    name: string;
    strategy: string;
    field: GoldenField;
    values: (string | null)[];
    updated?: number[];
    chosen: string | null;
    votes?: number;
  };
  test.each<Case>([
    {
      name: 'most votes win',
      strategy: 'most_frequent',
      field: 'last_name',
      values: ['Smyth', 'Smith', 'Smith'],
      chosen: 'Smith',
      votes: 2,
    },
    {
      name: 'a tie goes to the value met first',
      strategy: 'most_frequent',
      field: 'zip',
      values: ['02139', '02140'],
      chosen: '02139',
      votes: 1,
    },
    {
      name: 'missing and blank have no vote',
      strategy: 'most_frequent',
      field: 'city',
      values: [null, '', '  ', 'Boston'],
      chosen: 'Boston',
      votes: 1,
    },
    { name: 'nothing anywhere stays missing', strategy: 'most_frequent', field: 'ssn', values: [null, ''], chosen: null },
    {
      name: 'most recent without dates: the last value',
      strategy: 'most_recent',
      field: 'address',
      values: ['1 A St', '2 B St', null],
      chosen: '2 B St',
    },
    {
      name: 'most recent with dates',
      strategy: 'most_recent',
      field: 'address',
      values: ['1 A St', '2 B St', '3 C St'],
      updated: [5, 9, 7],
      chosen: '2 B St',
    },
    {
      name: 'most recent: equal dates go to the later record',
      strategy: 'most_recent',
      field: 'city',
      values: ['Lynn', 'Salem'],
      updated: [4, 4],
      chosen: 'Salem',
    },
    {
      name: 'most recent: an unknown date is the oldest',
      strategy: 'most_recent',
      field: 'city',
      values: ['Lynn', 'Salem'],
      updated: [4, Number.NaN],
      chosen: 'Lynn',
    },
    {
      name: 'least errors: the value nearest to all',
      strategy: 'least_errors',
      field: 'last_name',
      values: ['Jonson', 'Johnson', 'Johnsen'],
      chosen: 'Johnson',
      votes: 1,
    },
    {
      name: 'least errors: a tie goes by votes',
      strategy: 'least_errors',
      field: 'first_name',
      values: ['Ann', 'Bob', 'Bob'],
      chosen: 'Bob',
      votes: 2,
    },
    {
      name: 'field specific: longest address',
      strategy: 'field_specific',
      field: 'address',
      values: ['1 A St', '1 A Street', '1 A St'],
      chosen: '1 A Street',
    },
    {
      name: 'field specific: ssn with dashes',
      strategy: 'field_specific',
      field: 'ssn',
      values: ['999112222', '999-11-2222'],
      chosen: '999-11-2222',
    },
    {
      name: 'field specific: ssn, none with dashes',
      strategy: 'field_specific',
      field: 'ssn',
      values: ['999112222', '999112223', '999112223'],
      chosen: '999112222',
    },
    {
      name: 'field specific: name in title case',
      strategy: 'field_specific',
      field: 'last_name',
      values: ['OBRIEN', "O'Brien", 'obrien'],
      chosen: "O'Brien",
    },
    {
      name: 'field specific: no name in title case',
      strategy: 'field_specific',
      field: 'first_name',
      values: ['ANN', 'aNN'],
      chosen: 'ANN',
    },
    {
      name: 'field specific: other fields by votes',
      strategy: 'field_specific',
      field: 'city',
      values: ['Lynn', 'Salem', 'Salem'],
      chosen: 'Salem',
      votes: 2,
    },
  ])('$strategy: $name', ({ strategy, field, values, updated, chosen, votes }) => {
    const { golden, provenance } = buildGoldenRecords({
      records: source(
        values.map((value) => ({ [field]: value })),
        updated,
      ),
      clusters: together(values),
      strategy,
    });
    expect(golden[field]).toEqual([chosen]);
    const at = provenance.field.indexOf(field);
    if (chosen === null) expect(at).toBe(-1);
    else expect(provenance.value[at]).toBe(chosen);
    if (votes !== undefined) expect(provenance.votes[at]).toBe(votes);
  });

  test('ids number clusters of several records first, each part in order of its smallest record', () => {
    const { golden, goldenIdOf } = buildGoldenRecords({ records: source([{}, {}, {}, {}, {}]), clusters: [0, 1, 2, 1, 4] });
    expect(goldenIdOf).toEqual(['golden_000001', 'golden_000000', 'golden_000002', 'golden_000000', 'golden_000003']);
    expect(golden.source_record_ids[0]).toBe('facility_002_1,facility_004_3');
    expect([...golden.num_records]).toEqual([2, 1, 1, 1]);
  });

  test('columns carry the names and order of golden_records.parquet', () => {
    const { golden } = buildGoldenRecords({ records: source([{}]), clusters: [0] });
    expect(Object.keys(golden).join(' ')).toBe(
      'golden_id num_facilities num_records facilities source_record_ids first_name last_name maiden_name birthdate gender ssn address city state zip',
    );
  });

  test('facilities are sorted and counted once', () => {
    const { golden } = buildGoldenRecords({ records: source(Array.from({ length: 7 }, () => ({}))), clusters: [0, 1, 1, 1, 0, 0, 1] });
    expect(golden.facilities).toEqual(['facility_001,facility_005', 'facility_002,facility_003,facility_004']);
    expect([...golden.num_facilities]).toEqual([2, 3]);
  });

  test('an unknown strategy is refused with the ones there are', () => {
    expect(() => buildGoldenRecords({ records: source([]), clusters: [], strategy: 'newest' })).toThrow(
      'golden records: unknown strategy: newest; choose one of most_frequent, most_recent, least_errors, field_specific',
    );
    expect(() => buildGoldenRecords({ records: source([]), clusters: [], strategy: 'toString' })).toThrow('unknown strategy');
  });

  test('one cluster number per record, or a refusal', () => {
    expect(() => buildGoldenRecords({ records: source([{}]), clusters: [0, 1] })).toThrow('2 cluster numbers for 1 records');
  });

  const names = fc.array(fc.option(fc.constantFrom('Ann', 'Anne', 'ANN', 'Bob', ' '), { nil: null }), { minLength: 1, maxLength: 12 });

  test('every chosen value is held by the records named as its source, and by as many as voted', () => {
    fc.assert(
      fc.property(
        names,
        fc.array(fc.nat(3), { minLength: 12, maxLength: 12 }),
        fc.constantFrom(...strategyNames),
        (values, labels, strategy) => {
          const records = source(values.map((first_name) => ({ first_name })));
          const { golden, provenance, goldenIdOf } = buildGoldenRecords({ records, clusters: labels.slice(0, values.length), strategy });
          provenance.value.forEach((value, i) => {
            const holders = provenance.source_record_ids[i]!.split(',').map((id) => records.recordId.indexOf(id));
            expect(holders).toHaveLength(provenance.votes[i]!);
            for (const holder of holders) {
              expect(values[holder]).toBe(value);
              expect(goldenIdOf[holder]).toBe(provenance.golden_id[i]);
            }
          });
          expect(golden.source_record_ids.flatMap((ids) => ids.split(',')).sort()).toEqual([...records.recordId].sort());
        },
      ),
    );
  });

  test('25,000 records build in one pass', () => {
    const rows = Array.from({ length: 25_000 }, (_, i) => ({ first_name: `Name${i % 700}`, zip: String(i % 90_000) }));
    const { golden } = buildGoldenRecords({ records: source(rows), clusters: rows.map((_, i) => i % 11_000) });
    expect(golden.golden_id).toHaveLength(11_000);
    expect(golden.golden_id.at(-1)).toBe('golden_010999');
  });
});
