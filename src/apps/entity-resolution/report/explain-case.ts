// Takes the case study's pair apart. The evidence model explains its own weights; where it did not weigh the demographics (unsupervised
// runs) or is not at hand, the linkage's Bayes factors, which the run stored, stand in for the fields.

import type { EvidenceModel } from '../../../evidence/model-file.ts';
import { type Database, literal, quote } from '../../../sql/duckdb.ts';
import { explainRecords } from '../explain.ts';
import type { Fact } from './data.ts';

export type ExplainOptions = {
  /** With a run folder attached and `records` loaded. */
  readonly db: Database;
  /** The run's features.parquet. */
  readonly features: string;
  readonly model?: EvidenceModel | undefined;
  readonly left: number;
  readonly right: number;
  /** The run's own demographic log-odds of this pair. */
  readonly demographic: number;
};

export type Explained = { readonly prior: number; readonly facts: readonly Fact[] };

/** Facts of one pair in words, weights in nats; `prior` and the demographic facts add up to the demographic log-odds. */
export async function explainCase({ db, features, model, left, right, demographic }: ExplainOptions): Promise<Explained> {
  const linkage = () => linkageFacts({ db, features, left, right });
  if (!model) return linkage();
  const ids = await db.rows<{ id: string }>(`select record_id as id from records where row in (${left}, ${right}) order by row`);
  const explanation = await explainRecords({ db }, { left: ids[0]!.id, right: ids[1]!.id, model });
  const facts = explanation.facts
    .filter((fact) => fact.kind !== 'rule')
    .map(({ kind, theme, text, nats }) => ({ side: kind as Fact['side'], theme, text, weight: nats }));
  const clinical = facts.filter((fact) => fact.side === 'clinical');
  if (Math.abs(explanation.demographic - demographic) > 0.01) {
    const fields = await linkage();
    return { prior: fields.prior, facts: [...fields.facts, ...clinical] };
  }
  const known = facts.filter((fact) => fact.side === 'demographic').reduce((sum, fact) => sum + fact.weight, 0);
  return { prior: explanation.demographic - known, facts };
}

/** Bayes factors of the linkage, one fact per comparison; its term-frequency part counted in. */
async function linkageFacts({ db, features, left, right }: Pick<ExplainOptions, 'db' | 'features' | 'left' | 'right'>): Promise<Explained> {
  const source = `read_parquet(${literal(features)})`;
  const names = (await db.describe(source)).map(({ name }) => name);
  const factors = names.filter((name) => /^bf_(?!tf_adj_)/.test(name)).map((name) => name.slice(3));
  const nats = (name: string) => {
    const columns = [`bf_${name}`, `bf_tf_adj_${name}`].filter((column) => names.includes(column));
    return `${columns.map((column) => `ln(greatest(coalesce(${quote(column)}, 1), 1e-300))`).join(' + ')} as ${quote(name)}`;
  };
  const ids = 'a.record_id = f.record_id_1 join records b on b.record_id = f.record_id_2';
  const [row] = await db.rows<Record<string, number>>(
    `select match_weight as "match weight", ${factors.map(nats).join(', ') || '0 as none'} from ${source} f join records a on ${ids}
    where least(a.row, b.row) = ${left} and greatest(a.row, b.row) = ${right}`,
  );
  if (!row || factors.length === 0) return { prior: 0, facts: [] };
  const facts = factors.map((name) => ({
    side: 'demographic' as const,
    theme: name.replaceAll('_', ' '),
    text: `${name.replaceAll('_', ' ')} compared`,
    weight: row[name]!,
  }));
  return { prior: row['match weight']! * Math.LN2 - facts.reduce((sum, fact) => sum + fact.weight, 0), facts };
}
