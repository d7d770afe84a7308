import type { Command } from 'commander';
import { z } from 'zod';

import { duration, thousands } from '../../base/text.ts';
import { ingest } from '../../synth/ingest.ts';
import { threadsOption, verb } from '../verb.ts';
import { folderKeys, folderOptions, folders, maybeThreads, threadsKey } from './synth-options.ts';

/** `clinfuse er ingest`: Synthea's CSV to typed Parquet. */
export function ingestCommand(): Command {
  return verb({
    name: 'ingest',
    summary: 'Synthea’s 18 CSV tables to typed Parquet, digits cut out of names',
    example: 'clinfuse er ingest --in output/synthea/csv --out output/parquet',
    options: [...folderOptions('folder with the 18 .csv tables', 'folder for the 18 .parquet tables; replaced whole'), threadsOption],
    schema: z.strictObject({ ...folderKeys, ...threadsKey }),
    run: async ({ threads, ...named }, { progress, log }) => {
      const start = performance.now();
      const { input, output } = folders('ingest', named);
      const { rows, extraColumns } = await ingest({ input, output, progress, ...maybeThreads(threads) });
      const seconds = (performance.now() - start) / 1000;
      if (extraColumns.length > 0) log(`ingest: columns kept as text, not known to this version: ${extraColumns.join(', ')}`);
      const total = Object.values(rows).reduce((sum, count) => sum + count, 0);
      const tables = Object.keys(rows).length;
      return {
        text: `${tables} tables, ${thousands(total)} rows, ${thousands(rows.patients)} patients in ${duration(seconds)}; ${output}`,
        json: { output, rows, extraColumns, seconds },
      };
    },
  });
}
