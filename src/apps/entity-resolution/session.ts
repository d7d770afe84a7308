import { type Progress, silent } from '../../base/progress.ts';
import { loadRecords } from '../../records/patient.ts';
import { attachRunFolder, openRunFolder, type RunFolder } from '../../records/run-folder.ts';
import { Database } from '../../sql/duckdb.ts';

/** A run folder opened for work: its tables attached, its records standardised and numbered. */
export type Session = AsyncDisposable & {
  readonly db: Database;
  readonly folder: RunFolder;
  readonly recordCount: number;
  readonly threads: number | undefined;
  readonly progress: Progress;
};

/** What the linkage, the clinical profiles and DuckDB hold together stays under 2.5 GB when DuckDB holds at most this much. */
const memoryMb = 1000;

/**
 * Opens a run folder (ours or one written by the reference system).
 *
 * @param options.threads threads for DuckDB and the linkage kernel; all cores by default
 * @throws UserError for a folder that is not a run folder, missing tables or columns, duplicate record ids
 */
export async function openSession(
  path: string,
  { threads, progress = silent }: { readonly threads?: number | undefined; readonly progress?: Progress } = {},
): Promise<Session> {
  const folder = openRunFolder(path);
  const db = await Database.open({ memoryMb, threads });
  try {
    await attachRunFolder(db, folder);
    const recordCount = await loadRecords(db);
    return { db, folder, recordCount, threads, progress, [Symbol.asyncDispose]: async () => db.close() };
  } catch (cause) {
    db.close();
    throw cause;
  }
}
