// Both engines as their users start them: a process that reads Parquet and writes pairs and clusters as Parquet.

import { join } from 'node:path';

import type { DedupeResult } from '../../src/apps/linkage/dedupe.ts';
import { clinfuse, type Measured } from '../clinfuse.ts';
import { type SplinkSaid, splink } from '../splink.ts';

/** What a run is given; `folder` takes its outputs. Both keep pairs at P >= 1e-4 and cluster at P >= 0.95. */
export type Job = { readonly records: string; readonly model: string; readonly folder: string; readonly threads?: number };

const threshold = 1e-4;
const clusterThreshold = 0.95;

export const outputs = (folder: string) => ({ pairs: join(folder, 'pairs.parquet'), clusters: join(folder, 'clusters.parquet') });

export function ourRun({ records, model, folder, threads = 2 }: Job): Measured<DedupeResult> {
  const { pairs, clusters } = outputs(folder);
  const places = ['--in', records, '--settings', model, '--out', pairs, '--clusters', clusters];
  const numbers = ['--threshold', threshold, '--cluster-threshold', clusterThreshold, '--threads', threads];
  return clinfuse('link', 'dedupe', ...places, ...numbers);
}

/** Nothing where that Splink is not installed. */
export function splinkRun(major: 4 | 5, { records, model, folder, threads = 2 }: Job): Measured<SplinkSaid> | undefined {
  const pairs = join(folder, `splink${major}-pairs.parquet`);
  const clusters = join(folder, `splink${major}-clusters.parquet`);
  const numbers = ['--threshold', threshold, '--cluster-threshold', clusterThreshold, '--threads', threads];
  return splink(major, model, pairs, records, '--clusters', clusters, ...numbers);
}
