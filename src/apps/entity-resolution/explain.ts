import { UserError } from '../../base/errors.ts';
import { buildDemographics } from '../../evidence/demographics.ts';
import { type Explanation, explainPair } from '../../evidence/explain.ts';
import type { CodeWords } from '../../evidence/explain-clinical.ts';
import { softRules } from '../../evidence/fusion.ts';
import type { EvidenceModel } from '../../evidence/model-file.ts';
import { buildProfiles, type CodeDomain } from '../../evidence/profile.ts';
import type { Database } from '../../sql/duckdb.ts';
import type { Session } from './session.ts';

/** Domains whose codes the explanation puts in words. */
const worded: readonly CodeDomain[] = ['conditions', 'procedures', 'immunizations'];

/**
 * Explains what speaks for and against two records being one patient.
 *
 * @throws UserError `explain.record` for a record id the run folder does not hold, or one record given twice
 */
export async function explainRecords(
  { db }: Pick<Session, 'db'>,
  { left, right, model }: { readonly left: string; readonly right: string; readonly model: EvidenceModel },
): Promise<Explanation> {
  const [l, r] = [await rowOf(db, left), await rowOf(db, right)];
  if (l === r) throw new UserError('explain.record', `explain: one record given twice: ${left}; name two`);
  const demographics = await buildDemographics(db);
  const profiles = await buildProfiles(db);
  const words = await readCodeWords(db);
  return explainPair({ model, demographics, profiles, left: Math.min(l, r), right: Math.max(l, r), rules: softRules, words });
}

async function rowOf(db: Database, recordId: string): Promise<number> {
  const [found] = await db.rows<{ row: number }>('select row from records where record_id = $1', [recordId]);
  if (found === undefined) {
    const example = await db.value<string>('select record_id from records order by row limit 1');
    throw new UserError(
      'explain.record',
      `explain: no such record: ${recordId}; record ids look like ${example.replace(/_[^_]*$/, '_UUID')}`,
    );
  }
  return found.row;
}

/** The tables' own descriptions of their codes. */
async function readCodeWords(db: Database): Promise<CodeWords> {
  const words = new Map<string, string>();
  for (const domain of worded) {
    const rows = await db.rows<{ code: string; description: string }>(
      `select CODE::VARCHAR as code, min(DESCRIPTION) as description from ${domain} where CODE is not null and DESCRIPTION is not null group by 1`,
    );
    for (const { code, description } of rows) words.set(`${domain} ${code}`, description);
  }
  return (domain, code) => words.get(`${domain} ${code}`);
}
