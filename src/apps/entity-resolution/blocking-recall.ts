import type { BlockingRule } from '../../linkage/settings.ts';
import type { Database } from '../../sql/duckdb.ts';

/**
 * Share of the true pairs that at least one blocking rule proposes, before anything is scored. Reads the tables `records` and `truth`.
 *
 * Pairs within one facility are left out: the rules never propose them.
 */
export async function blockingRecall(db: Database, rules: readonly BlockingRule[]): Promise<number> {
  const expressions = [...new Set(rules.flatMap(({ on }) => on))];
  const key = (expression: string) => `k${expressions.indexOf(expression)}`;
  const proposed = rules
    .map(({ on }) => `(${on.map((expression) => `l.${key(expression)} = r.${key(expression)}`).join(' and ')})`)
    .join(' or ');
  const found = await db.value<number | null>(`
    with keys as (select truth.true_patient_id, row, facility, ${expressions.map((expression) => `${expression} as ${key(expression)}`).join(', ')}
      from records join truth using (row))
    select avg(case when ${proposed} then 1.0 else 0.0 end)::double
    from keys l join keys r on l.true_patient_id = r.true_patient_id and l.row < r.row and l.facility <> r.facility`);
  return found ?? 1;
}
