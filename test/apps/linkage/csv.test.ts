import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { loadCsv } from '../../../src/apps/linkage/csv.ts';
import { Database } from '../../../src/sql/duckdb.ts';

const home = mkdtempSync(join(tmpdir(), 'clinfuse-csv-'));
const file = join(home, 'people.csv');
let db: Database;
beforeAll(async () => {
  db = await Database.open();
});
afterAll(() => {
  db.close();
  rmSync(home, { recursive: true, force: true });
});

async function read(content: string | Uint8Array): Promise<object[]> {
  writeFileSync(file, content);
  await loadCsv(db, file, 'people');
  return db.rows('from people');
}

describe('loadCsv', () => {
  test.each([
    { name: 'plain', content: 'id,zip\n1,01234\n', rows: [{ id: '1', zip: '01234' }] },
    { name: 'semicolons', content: 'id;zip\n1;01234\n', rows: [{ id: '1', zip: '01234' }] },
    { name: 'tabs, Windows line ends and a byte order mark', content: '\uFEFFid\tzip\r\n1\t01234\r\n', rows: [{ id: '1', zip: '01234' }] },
    { name: 'bars', content: 'id|zip\n1|01234\n', rows: [{ id: '1', zip: '01234' }] },
    { name: 'no line end at the end', content: 'id,zip\n1,01234', rows: [{ id: '1', zip: '01234' }] },
    { name: 'quotes', content: 'id,"full, name"\n"1","An""n\nOak; x"\n', rows: [{ id: '1', 'full, name': 'An"n\nOak; x' }] },
    { name: 'an empty value is missing', content: 'id,zip\n1,\n', rows: [{ id: '1', zip: null }] },
    { name: 'one column', content: 'id\n1\n2\n', rows: [{ id: '1' }, { id: '2' }] },
    { name: 'a column without a name', content: ',zip\n1,2\n', rows: [{ column1: '1', zip: '2' }] },
    { name: 'no rows', content: 'id,zip\n', rows: [] },
    { name: 'a comment is a value', content: 'id,zip\n#1,2\n', rows: [{ id: '#1', zip: '2' }] },
  ])('$name', async ({ content, rows }) => {
    expect(await read(content)).toEqual(rows);
  });

  test.each([
    { name: 'a row that is too short', content: 'id,a,b\n1,2,3\n4,5\n', says: "line 3: 2 columns, but the header's 3" },
    {
      name: 'a row that is too long, the header being no shorter for it',
      content: 'id,a\n1,2\n4,5,6,7\n',
      says: "line 3: more columns than the header's 2",
    },
    { name: 'a quote that is not closed', content: 'id,a\n1,"Ann\n2,Bob\n', says: 'line 2: a value in double quotes that does not end' },
    { name: 'Latin-1', content: Buffer.from('id,a\n1,Jos\xe9\n', 'latin1'), says: 'line 2: not UTF-8' },
    { name: 'two kinds of line end', content: 'id,a\n1,"x"\n2,"y"\r\n3,z\n', says: 'line 3: a value in double quotes that does not end' },
    { name: 'a name twice', content: 'id,Name,name\n1,2,3\n', says: 'column named twice: name' },
    { name: 'nothing', content: '', says: 'it is empty' },
  ])('$name: one line, and no value in it', async ({ content, says }) => {
    const refused = read(content);
    await expect(refused).rejects.toThrow(`input: cannot be read: ${file}: ${says}`);
    await expect(refused).rejects.toHaveProperty('name', 'UserError');
    await expect(refused).rejects.not.toThrow(/Ann|Jos|\n/);
  });

  test('a folder', async () => {
    mkdirSync(join(home, 'folder.csv'));
    await expect(loadCsv(db, join(home, 'folder.csv'), 'people')).rejects.toThrow(/folder\.csv: it is a folder/);
  });
});
