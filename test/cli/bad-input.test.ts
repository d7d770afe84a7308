import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { Database, literal } from '../../src/sql/duckdb.ts';

const root = resolve(import.meta.dirname, '../..');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-bad-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const first = (folder: string, name: string) => join(folder, 'facilities', 'facility_001', name);

/** Rewrites one table of the first facility by a query over `t`. */
async function rewrite(folder: string, table: string, query: string): Promise<void> {
  await using db = await Database.open();
  const file = first(folder, `${table}.parquet`);
  await db.run(`create table t as select * from ${literal(file)}`);
  await db.writeParquet(query, file);
}

const faults: readonly { readonly name: string; readonly spoil: (folder: string) => Promise<void> | void; readonly says: RegExp }[] = [
  {
    name: 'a missing table',
    spoil: (folder) => rmSync(first(folder, 'observations.parquet')),
    says: /observations.*facility_001|facility_001.*observations/,
  },
  {
    name: 'a missing column',
    spoil: (folder) => rewrite(folder, 'patients', 'select * exclude (BIRTHDATE) from t'),
    says: /column.*BIRTHDATE|BIRTHDATE.*column/,
  },
  {
    name: 'record ids used twice',
    spoil: (folder) => rewrite(folder, 'patients', 'from t union all (from t limit 2)'),
    says: /facility_001.*2|2.*facility_001/,
  },
  {
    name: 'a table that is no Parquet',
    spoil: (folder) => writeFileSync(first(folder, 'conditions.parquet'), 'START,STOP\n'),
    says: /conditions\.parquet/,
  },
  { name: 'a folder without facilities', spoil: (folder) => rmSync(join(folder, 'facilities'), { recursive: true }), says: /facilities/ },
  {
    name: 'no patients at all',
    spoil: async (folder) => {
      for (const facility of readdirSync(join(folder, 'facilities')).slice(1))
        rmSync(join(folder, 'facilities', facility), { recursive: true });
      await rewrite(folder, 'patients', 'from t limit 0');
    },
    says: /patients|records/,
  },
];

describe('a run folder that cannot be used', () => {
  test.each(faults)('$name: one line, exit 2, nothing written', async ({ spoil, says }) => {
    const folder = join(home, 'spoiled');
    rmSync(folder, { recursive: true, force: true });
    cpSync(join(root, 'examples/data'), folder, { recursive: true });
    await spoil(folder);
    const out = join(home, 'out');
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(root, 'src/cli/main.ts'), 'er', 'run', '--in', folder, '--out', out, '--quiet'],
      { encoding: 'utf8' },
    );
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(says);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(readdirSync(home)).toEqual(['spoiled']);
  });

  test('an output below a file cannot be written', () => {
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'file'), '');
    const words = ['er', 'run', '--in', join(root, 'examples/data'), '--out', join(home, 'file', 'out'), '--quiet'];
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'src/cli/main.ts'), ...words], { encoding: 'utf8' });
    expect({ status, lines: stderr.trim().split('\n').length }).toEqual({ status: 2, lines: 1 });
    expect(stderr).toContain('output: cannot be written');
    expect(existsSync(join(home, 'file', 'out'))).toBe(false);
  });

  test('a disk that fills up: one line, exit 2, the earlier output intact', () => {
    const out = join(home, 'kept');
    mkdirSync(join(out, 'resolved'), { recursive: true });
    writeFileSync(join(out, 'run.json'), '{"earlier":true}');
    // A file size limit makes the system refuse to write on, as a full disk does.
    const command = `ulimit -f 64; trap '' XFSZ; exec '${process.execPath}' '${join(root, 'src/cli/main.ts')}' er run --in '${join(root, 'examples/data')}' --out '${out}' --quiet`;
    const { status, stderr } = spawnSync('bash', ['-c', command], { encoding: 'utf8' });
    expect(stderr).toMatch(/output: disk full while writing/);
    expect({ status, lines: stderr.trim().split('\n').length }).toEqual({ status: 2, lines: 1 });
    expect(readdirSync(out).sort()).toEqual(['resolved', 'run.json']);
  });
});
