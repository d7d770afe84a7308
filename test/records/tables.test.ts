import { describe, expect, test } from 'vitest';

import { tableNames, tableSchemas } from '../../src/records/tables.ts';

describe('tables', () => {
  test('there are 18, patients and encounters first', () => {
    expect(tableNames).toHaveLength(18);
    expect(tableNames.slice(0, 2)).toEqual(['patients', 'encounters']);
    expect(Object.keys(tableSchemas)).toEqual([...tableNames]);
  });

  test('no table names a column twice, and every column has a type', () => {
    for (const table of tableNames) {
      const names = tableSchemas[table].map(({ name }) => name);
      expect(new Set(names).size, table).toBe(names.length);
      expect(tableSchemas[table].every(({ type }) => typeof type === 'string')).toBe(true);
    }
  });

  test('identifiers are text wherever they stand, never numbers', () => {
    const identifiers = /^(ZIP|FIPS|PHONE|SSN|DRIVERS|PASSPORT|Id|ID|PATIENT|PATIENTID|ENCOUNTER|APPOINTMENTID|UDI)$/;
    for (const table of tableNames) {
      for (const { name, type } of tableSchemas[table]) if (identifiers.test(name)) expect(type, `${table}.${name}`).toBe('VARCHAR');
    }
  });

  test('codes are whole numbers, but for observations, whose codes are LOINC', () => {
    for (const table of tableNames) {
      for (const { name, type } of tableSchemas[table]) {
        if (/^(CODE|REASONCODE|DIAGNOSIS\d|DIAGNOSISREF\d|REACTION\d|PROCEDURECODE)$/.test(name)) {
          expect(type, `${table}.${name}`).toBe(table === 'observations' ? 'VARCHAR' : 'BIGINT');
        }
      }
    }
  });
});
