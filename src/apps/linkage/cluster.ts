import { UserError } from '../../base/errors.ts';
import { writeFile } from '../../base/files.ts';
import { connectedComponents } from '../../linkage/cluster.ts';
import { requireColumns } from '../../sql/columns.ts';
import { quote, readingFile } from '../../sql/duckdb.ts';
import { writeMembership } from './clusters.ts';
import { loadTable, refuseSamePlace } from './input.ts';
import { openStore } from './session.ts';

export type ClusterOptions = {
  /** Pairs as `dedupe`, `predict` or Splink write them. */
  readonly pairsFile: string;
  readonly out: string;
  /** Match probability from which a pair joins two records. */
  readonly threshold: number;
  /** Id column without its `_l` or `_r`; with the source column where ids repeat from source to source. */
  readonly id: string;
  readonly source?: string | undefined;
};

/**
 * Joins the records of a file of pairs. Records that are in no pair are not in the file: they are clusters of one.
 *
 * @throws UserError `linkage.column` for a file without the ids or `match_probability`, `linkage.ids` for a pair without an id
 */
export async function cluster({ pairsFile, out, threshold, id, source }: ClusterOptions): Promise<{
  readonly records: number;
  readonly clusters: number;
}> {
  refuseSamePlace([pairsFile], [out]);
  await using db = await openStore({});
  await loadTable(db, pairsFile, 'pairs');
  const names = (await db.describe('pairs')).map(({ name }) => name);
  const keys = [...(source ? [source] : []), id];
  const sided = keys.flatMap((key) => [`${key}_l`, `${key}_r`]);
  const hint = '--id names the id column without _l';
  requireColumns(['match_probability', ...sided], names, { part: 'cluster', code: 'linkage.column', file: pairsFile, hint });
  const missing = await db.value<number>(
    `select count(*) from pairs where ${keys.map((key) => `${quote(`${key}_l`)} is null or ${quote(`${key}_r`)} is null`).join(' or ')}`,
  );
  if (missing > 0) throw new UserError('linkage.ids', `cluster: pairs without an id: ${missing} in ${pairsFile}; every record needs one`);
  const side = (letter: string) => keys.map((key) => `${quote(`${key}_${letter}`)} as ${quote(key)}`).join(', ');
  const list = keys.map(quote).join(', ');
  await db.run(
    `create table nodes as select row_number() over (order by ${list}) - 1 as row, *
     from (select ${side('l')} from pairs union select ${side('r')} from pairs)`,
  );
  const same = (letter: string) => keys.map((key) => `${letter}.${quote(key)} = p.${quote(`${key}_${letter}`)}`).join(' and ');
  const links = await readingFile(pairsFile, () =>
    db.columns<{ l: Int32Array; r: Int32Array }>(
      `select l.row::integer as l, r.row::integer as r from pairs p join nodes l on ${same('l')} join nodes r on ${same('r')}
       where cast(p.match_probability as double) >= ${threshold}`,
    ),
  );
  const records = await db.value<number>('select count(*) from nodes');
  const clusters = connectedComponents(records, links.l ?? [], links.r ?? []);
  await writeFile(out, (place) => writeMembership(db, { cluster: clusters, numbered: 'nodes', id, source }, place));
  return { records, clusters: clusters.reduce((most, one) => Math.max(most, one + 1), 0) };
}
