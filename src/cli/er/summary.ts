import type { Command } from 'commander';
import { z } from 'zod';

import { openSession } from '../../apps/entity-resolution/session.ts';
import { UserError } from '../../base/errors.ts';
import { nearest } from '../../base/text.ts';
import { createSummaries } from '../../records/summary.ts';
import type { Database } from '../../sql/duckdb.ts';
import { verb } from '../verb.ts';
import { folderSchema, inOption } from './options.ts';

/** `er summary`: what a record's clinical history says, as the text that language models are asked about. */
export function summaryCommand(): Command {
  return verb({
    name: 'summary',
    summary: "print records' clinical summaries",
    example: 'clinfuse er summary --in examples/data --record facility_001_213de851-1592-508c-50eb-bb605a960df3',
    options: [inOption, { flags: '--record <ids...>', help: 'record ids: facility, underscore, patient Id', required: true }],
    schema: z.object({ in: folderSchema, record: z.array(z.string()).min(1) }),
    run: async ({ in: folder, record }, { progress }) => {
      await using session = await openSession(folder, { progress });
      const rows = await findRecords(session.db, record);
      await createSummaries(session.db, { rows });
      const texts = new Map(
        (await session.db.rows<{ row: number; summary: string }>('select row, summary from summaries')).map((one) => [
          one.row,
          one.summary,
        ]),
      );
      const summaries = record.map((recordId, i) => ({ recordId, summary: texts.get(rows[i]!)! }));
      return { text: summaries.map(({ recordId, summary }) => `${recordId}\n\n${summary}`).join('\n\n\n'), json: { summaries } };
    },
  });
}

/**
 * Row of each record id, in the order asked.
 *
 * @throws UserError `records.unknown`
 */
async function findRecords(db: Database, ids: readonly string[]): Promise<number[]> {
  const { row, record_id } = await db.columns<{ row: Int32Array; record_id: string[] }>('select row, record_id from records order by row');
  const rowOf = new Map(record_id.map((id, i) => [id, row[i]!]));
  return ids.map((id) => {
    const found = rowOf.get(id);
    if (found !== undefined) return found;
    const near = record_id.find((known) => known.endsWith(`_${id}`)) ?? (id.startsWith('facility_') ? nearest(id, record_id) : undefined);
    throw new UserError(
      'records.unknown',
      `summary: no such record: ${id}; ${near ? `did you mean ${near}?` : 'a record id reads facility_001_<patient Id>'}`,
    );
  });
}
