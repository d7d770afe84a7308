// Levels that the kernel has no rule for: DuckDB decides them, on the pairs that need it, in shares that bound memory.

import { quote } from '../sql/duckdb.ts';
import { conditionSql } from './conditions.ts';
import { type Encoder, sqlFault } from './encode.ts';
import type { Comparison } from './settings.ts';
import { comparisonColumns } from './settings.ts';

const pairsPerShare = 500_000;

/** Level of each pair on one comparison. Its SQL sees `<column>_l` and `<column>_r`. */
export async function decideLevels(encoder: Encoder, comparison: Comparison, left: Int32Array, right: Int32Array): Promise<Uint8Array> {
  const { db, table } = encoder;
  const decided = new Uint8Array(left.length);
  const columns = comparisonColumns(comparison).flatMap((name) => [
    `a.${quote(name)} as ${quote(`${name}_l`)}`,
    `b.${quote(name)} as ${quote(`${name}_r`)}`,
  ]);
  const cases = comparison.levels.map(({ condition }, level) =>
    condition.kind === 'else' ? `else ${level}` : `when ${conditionSql(condition)} then ${level}`,
  );
  for (let from = 0; from < left.length; from += pairsPerShare) {
    const until = Math.min(left.length, from + pairsPerShare);
    const share = `${table}_pairs`;
    await db.createTable(share, {
      n: { type: 'INTEGER', values: Int32Array.from({ length: until - from }, (_, i) => i) },
      l: { type: 'INTEGER', values: left.subarray(from, until) },
      r: { type: 'INTEGER', values: right.subarray(from, until) },
    });
    try {
      const { n, level } = await db.columns<{ n: Int32Array; level: Int32Array }>(`
        select n, cast(case ${cases.join(' ')} end as INTEGER) as level
        from (select n, ${columns.join(', ')} from ${share} join ${table} a on a.__row = l join ${table} b on b.__row = r)`);
      for (let i = 0; i < n.length; i++) decided[from + n[i]!] = level[i]!;
    } catch (cause) {
      throw sqlFault(comparison.name, cause);
    } finally {
      await db.run(`drop table ${share}`);
    }
  }
  return decided;
}
