import { quote } from '../sql/duckdb.ts';
import { type Encoder, recordName } from './encode.ts';
import { type RecordColumn, readRecordTable } from './record-table.ts';
import type { LinkageSettings } from './settings.ts';

/**
 * Writes each record's cluster as Parquet: `cluster_id`, the name of the cluster's first record, then the columns that name a record.
 *
 * @param cluster cluster number of each record
 */
export async function writeClusters(
  encoder: Encoder,
  { linkType, uniqueId, source }: Pick<LinkageSettings, 'linkType' | 'uniqueId' | 'source'>,
  cluster: Int32Array,
  file: string,
): Promise<void> {
  const firstOf = new Int32Array(cluster.length).fill(-1);
  const first = cluster.map((one, record) => (firstOf[one]! < 0 ? (firstOf[one] = record) : firstOf[one]!));
  const records = cluster.map((_, record) => record);
  const origin = linkType === 'dedupe_only' ? undefined : source!;
  const id: RecordColumn = { kind: 'record', name: uniqueId, of: quote(uniqueId), isName: true, records };
  const columns: readonly RecordColumn[] = [
    { kind: 'record', name: 'cluster_id', of: recordName(uniqueId, origin), isName: true, records: first },
    ...(origin ? [{ kind: 'record', name: origin, of: quote(origin), records } as const] : []),
    id,
  ];
  const write = await readRecordTable(encoder, { columns, rowCount: cluster.length });
  await write(file);
}
