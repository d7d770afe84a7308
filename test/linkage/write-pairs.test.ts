import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Linker } from '../../src/linkage/linker.ts';
import type { LinkageSettings } from '../../src/linkage/settings.ts';
import { Database, literal } from '../../src/sql/duckdb.ts';

let folder: string;
let db: Database;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'clinfuse-pairs-'));
  db = await Database.open();
  await db.run(`create table people as select 9007199254740993 + i as id, 'n' || (i % 7) as name, case when i % 5 = 1 then null else 'Zoë ' || i % 3 end as "Née",
    case when i = 3 then null else date '1950-01-31' + (i % 9)::integer end as born, timestamp '2020-01-01 00:00:00.000001' + to_hours(i) as seen,
    case i % 4 when 0 then 'nan'::double when 1 then null else i / 7.0 end as height, (i % 100)::tinyint as tiny, i::float / 3 as share,
    case when i % 6 = 2 then null when i % 6 = 3 then [] else ['a', null, 'ü' || i] end as tags, {'street': 's' || i, 'no': i} as home,
    i % 2 = 0 as "is", (i / 3)::decimal(9, 2) as paid from range(60) r(i)`);
});
afterAll(() => {
  db.close();
  rmSync(folder, { recursive: true });
});

const settings: LinkageSettings = {
  linkType: 'dedupe_only',
  uniqueId: 'id',
  prior: 0.01,
  comparisons: [
    {
      name: 'name',
      levels: [
        { condition: { kind: 'null', column: 'name' }, isNull: true },
        { condition: { kind: 'exact', column: 'name' }, m: 0.9, u: 0.1 },
        { condition: { kind: 'else' }, m: 0.1, u: 0.9 },
      ],
    },
  ],
  blockingRules: [{ on: ['name'] }],
};

describe('columns of the records beside pairs', () => {
  test.each([
    ['numbers, texts and dates', ['Née', 'born', 'seen', 'height', 'tiny', 'share']],
    ['lists, structs and other types, too', ['tags', 'Née', 'home', 'is', 'paid', 'height']],
  ])('%s are those of the two records, type and all', async (_, retain) => {
    await using linker = await Linker.open({ db, table: 'people', settings: { ...settings, retain } });
    const pairs = await linker.predict({ threshold: 0 });
    const file = join(folder, `${retain.length}.parquet`);
    await linker.writePairs(pairs, file);
    const columns = ['id', 'name', ...retain];
    const sides = columns.map((name) => `a."${name}" as "${name}_l", b."${name}" as "${name}_r"`).join(', ');
    await db.run(`create or replace view expected as select ${sides} from people a join people b on a.name = b.name and a.id < b.id`);
    const written = columns.map((name) => `"${name}_l", "${name}_r"`).join(', ');
    const types = async (source: string) => db.describe(`(select ${written} from ${source})`);
    expect(await types(literal(file))).toEqual(await types('expected'));
    const rows = (source: string) => db.rows(`select ${written} from ${source} order by id_l, id_r`);
    expect(pairs.count).toBe(4 * 36 + 3 * 28);
    expect(await rows(literal(file))).toEqual(await rows('expected'));
    const [order] = await db.rows<{ sorted: boolean }>(
      `select bool_and(n = place) as sorted from (select file_row_number + 1 as n, row_number() over (order by id_l, id_r) as place
       from read_parquet(${literal(file)}, file_row_number = true))`,
    );
    expect(order!.sorted).toBe(true);
  });

  test('no pair gives a file of no rows with all columns', async () => {
    await using linker = await Linker.open({ db, table: 'people', settings: { ...settings, retain: ['born', 'tags'] } });
    const file = join(folder, 'none.parquet');
    await linker.writePairs(await linker.predict({ threshold: 1 - 1e-12 }), file);
    expect((await db.describe(literal(file))).map(({ name }) => name)).toEqual(
      expect.arrayContaining(['match_weight', 'id_l', 'name_l', 'gamma_name', 'bf_name', 'born_l', 'tags_r', 'match_key']),
    );
    expect(await db.value<number>(`select count(*) from ${literal(file)}`)).toBe(0);
  });
});
