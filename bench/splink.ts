// Splink and our linkage on the same records, comparisons and rules: who finds what, and how long from load to clusters.

import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { openSession } from '../src/apps/entity-resolution/session.ts';
import { sigmoid } from '../src/base/statistics.ts';
import { truePairCount } from '../src/evaluation/pairwise.ts';
import { bestGridThreshold } from '../src/evaluation/thresholds.ts';
import { connectedComponents, strongLinks } from '../src/linkage/cluster.ts';
import { Linker } from '../src/linkage/linker.ts';
import { referenceSettings, referenceTraining } from '../src/linkage/presets.ts';
import { toSplinkJson } from '../src/linkage/splink-json.ts';
import { loadTruth, truthLabels } from '../src/records/truth.ts';
import { Database, literal } from '../src/sql/duckdb.ts';
import { fastest, type Measured } from './clinfuse.ts';
import { cache } from './populations.ts';

type Linked = { readonly version: string; readonly bestF1: number; readonly seconds: number };

export type SplinkSaid = {
  readonly splink: string;
  readonly pairs: number;
  readonly load_s: number;
  readonly train_s: number;
  readonly predict_s: number;
  readonly cluster_s: number;
  readonly peak_mb: number;
};

/** The interpreter of a peer's environment (bench/peers/setup.sh); nothing where it is not installed. */
export function pythonOf(name: 'splink4' | 'splink5' | 'febrl' | 'llm' | 'engines'): string | undefined {
  const python = join(cache, 'peers', name, 'bin', 'python');
  return existsSync(python) ? python : undefined;
}

/** Runs bench/peers/splink-link.py in a process of its own; nothing where that Splink is not installed. */
export function splink(major: 4 | 5, ...words: readonly (string | number)[]): Measured<SplinkSaid> | undefined {
  const python = pythonOf(`splink${major}`);
  if (!python) return undefined;
  const start = performance.now();
  const run = spawnSync(python, [join(import.meta.dirname, 'peers', 'splink-link.py'), ...words.map(String)], { encoding: 'utf8' });
  const seconds = (performance.now() - start) / 1000;
  if (run.status !== 0) throw new Error(`bench: splink ${major}: ${run.stderr.slice(-2000)}`);
  const output = JSON.parse(run.stdout.trim().split('\n').at(-1)!) as SplinkSaid;
  return { output, seconds, peakMb: output.peak_mb };
}

/** Kept pairs at P >= 1e-4, clusters at P >= 0.95: both engines do the same work. */
const [threshold, clusterAt] = [1e-4, 0.95];

/** Runs both; a Splink that is not installed (bench/peers/setup.sh) is absent. */
export async function measureSplink(folder: string, scratch: string) {
  await using session = await openSession(folder);
  await loadTruth(session.db, session.folder);
  const truth = await truthLabels(session.db);
  const records = join(scratch, 'records.parquet');
  await session.db.run(`copy (select * from records order by row) to ${literal(records)} (format parquet)`);
  const model = join(scratch, 'model.json');
  writeFileSync(model, JSON.stringify({ ...(toSplinkJson(referenceSettings) as object), training: splinkTraining() }));

  const score = (left: Int32Array, right: Int32Array, probability: Float64Array) => {
    const isTrue = Uint8Array.from(left, (a, p) => (truth[a] === truth[right[p]!] ? 1 : 0));
    return bestGridThreshold({ scores: probability, isTrue, totalTrue: truePairCount(truth) }).f1;
  };
  const peer = async (major: 4 | 5): Promise<Linked | undefined> => {
    const out = join(scratch, `splink${major}.parquet`);
    const said = splink(major, model, out, records, '--threshold', threshold, '--cluster-threshold', clusterAt)?.output;
    if (!said) return undefined;
    const pairs = await session.db.columns<{ l: Int32Array; r: Int32Array; p: Float64Array }>(`
      select a.row as l, b.row as r, match_probability as p from ${literal(out)}
      join records a on a.record_id = record_id_l join records b on b.record_id = record_id_r`);
    return { version: said.splink, bestF1: score(pairs.l, pairs.r, pairs.p), seconds: said.train_s + said.predict_s + said.cluster_s };
  };
  const splink4 = await peer(4);
  // Interleaved, best of three each: the machine may be shared.
  const mine = [];
  const theirs = [];
  for (let round = 0; round < 3; round++) {
    mine.push(await ourLinkage(records));
    theirs.push(await peer(5));
  }
  const fastestOf = (runs: readonly (Linked | undefined)[]) => {
    const done = runs.filter((run) => run !== undefined);
    return done.length > 0 ? fastest(done) : undefined;
  };
  const { pairs } = mine[0]!;
  const probability = pairs.matchWeight.map((weight) => sigmoid(weight * Math.LN2));
  const seconds = Math.min(...mine.map((run) => run.seconds));
  return { ours: { bestF1: score(pairs.left, pairs.right, probability), seconds }, splink4, splink5: fastestOf(theirs) };
}

/** From a Parquet file of records to clusters, in an engine opened for it. */
async function ourLinkage(records: string) {
  const start = performance.now();
  await using db = await Database.open();
  await db.run(`create table people as select * from ${literal(records)}`);
  await using linker = await Linker.open({ db, table: 'people', settings: referenceSettings });
  await linker.train(referenceTraining);
  const pairs = await linker.predict({ threshold });
  const { left, right } = strongLinks({ ...pairs, weight: pairs.matchWeight }, Math.log2(clusterAt / (1 - clusterAt)));
  connectedComponents(linker.recordCount, left, right);
  return { pairs, seconds: (performance.now() - start) / 1000 };
}

/** The reference's training plan in the words of bench/peers/splink-link.py. */
function splinkTraining() {
  return {
    deterministic_rules: ['l.ssn = r.ssn', 'l.first_name = r.first_name and l.last_name = r.last_name and l.birthdate = r.birthdate'],
    recall: 0.7,
    u_max_pairs: 5e5,
    em_rules: ['l.birthdate = r.birthdate', 'l.last_name = r.last_name and l.city = r.city', 'l.ssn = r.ssn'],
  };
}
