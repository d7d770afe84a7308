import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Database } from '../../src/sql/duckdb.ts';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-link-interrupt-'));
const [work, scratch] = [join(home, 'work'), join(home, 'scratch')];
afterAll(() => rmSync(home, { recursive: true, force: true }));

const text = (column: string, near: string) => ({
  output_column_name: column,
  comparison_levels: [
    { sql_condition: `${column}_l is null or ${column}_r is null`, is_null_level: true },
    { sql_condition: near, m_probability: 0.9, u_probability: 0.01 },
    { sql_condition: 'ELSE', m_probability: 0.1, u_probability: 0.99 },
  ],
});
const model = {
  link_type: 'dedupe_only',
  probability_two_random_records_match: 1e-5,
  blocking_rules_to_generate_predictions: ['l.town = r.town'],
  comparisons: [
    text('name', 'jaro_winkler_similarity(name_l, name_r) >= 0.9'),
    text('street', 'damerau_levenshtein(street_l, street_r) <= 2'),
  ],
};

describe('Ctrl-C while pairs are scored', () => {
  beforeAll(async () => {
    for (const folder of [work, scratch]) mkdirSync(folder);
    await using db = await Database.open();
    // 50 million pairs of texts that nothing can be said of without measuring them: scoring takes many seconds.
    await db.writeParquet(
      `select i as unique_id, i % 4 as town, md5(i::varchar) as name, substr(md5((7 * i)::varchar), 1, 12) as street from range(20000) t(i)`,
      join(work, 'people.parquet'),
    );
    writeFileSync(join(work, 'model.json'), JSON.stringify(model));
    writeFileSync(join(work, 'pairs.parquet'), 'the earlier output');
  });

  test.each(['1', '2'])(
    'ends the run with 130 on %s threads: the earlier output stays, nothing else is left, nothing runs on',
    async (threads) => {
      const before = readdirSync(work);
      const words = ['link', 'dedupe', '--in', 'people.parquet', '--settings', 'model.json', '--out', 'pairs.parquet'];
      const child = spawn(
        process.execPath,
        [main, ...words, '--clusters', 'c.parquet', '--cluster-threshold', '0.9', '--threads', threads],
        {
          cwd: work,
          env: { ...process.env, TMPDIR: scratch, NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') },
          stdio: ['ignore', 'ignore', 'pipe'],
        },
      );
      let said = '';
      child.stderr.on('data', (part: Buffer) => {
        said += part.toString();
        if (/linkage scoring: \d+ %/.test(said)) child.kill('SIGINT');
      });
      expect(await new Promise((done) => child.on('exit', done))).toBe(130);
      expect(said).toMatch(/linkage scoring: \d+ %, [\s\S]*interrupted; earlier outputs are untouched\n$/);
      expect(readdirSync(work)).toEqual(before);
      expect(readFileSync(join(work, 'pairs.parquet'), 'utf8')).toBe('the earlier output');
      expect(readdirSync(scratch)).toEqual([]);
      // Workers are threads of the process: with it, they are gone.
      expect(() => process.kill(child.pid!, 0)).toThrow('ESRCH');
    },
  );
});
