// From a run folder with ground truth to a data set of questions about pairs of records: balanced, split by patient, with a share of hard
// negatives, in the layout of Hugging Face data sets.
//
//   data/train.parquet, validation.parquet, test.parquet     README.md (the card)     dataset_info.json
//
// A row: `messages` (the question, and the answer True or False), `label` (1 for a match), `kind`, `record_id_1`, `record_id_2`.
// Record A of the question is always the smaller record id. Texts are the reference's, byte for byte (records/summary).

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from '../../../base/errors.ts';
import { writeFolder, writeJson, writeText } from '../../../base/files.ts';
import { random } from '../../../base/random.ts';
import type { Pairs } from '../../../evidence/score.ts';
import { truePairs } from '../../../evidence/train.ts';
import { createSummaries, pairPromptSql } from '../../../records/summary.ts';
import { loadTruth, truthLabels } from '../../../records/truth.ts';
import { type Database, literal } from '../../../sql/duckdb.ts';
import type { Session } from '../session.ts';
import { datasetCard, type PairDatasetReport, type PairKind } from './dataset-card.ts';
import { drawNegatives, type NegativeKind } from './negatives.ts';
import { type SplitName, splitByPatient, splitNames, splitShares } from './patient-splits.ts';

export type PairDatasetOptions = {
  readonly out: string;
  /** The run folder as it was named, for dataset_info.json. */
  readonly source: string;
  /** Share of the negatives that are hard; 0: random strangers, as the reference. */
  readonly hardShare: number;
  /** Most training pairs, half of them matches; the other splits shrink in proportion. All by default. */
  readonly maxPairs?: number | undefined;
  readonly seed: number;
  /** Where on the hub it goes, for dataset_info.json. */
  readonly repository?: string | undefined;
  /** Written as it is, so that runs can be repeated. */
  readonly timestamp: string;
};

type SplitPairs = Pairs & { readonly kinds: readonly PairKind[] };

/**
 * Writes the data set.
 *
 * @throws UserError `pair-dataset.no-truth`; `pair-dataset.too-few` where a split would have no pair of a class
 */
export async function writePairDataset(session: Session, options: PairDatasetOptions): Promise<PairDatasetReport> {
  const { db, folder, progress } = session;
  const { out, source, hardShare, maxPairs, seed, timestamp, repository } = options;
  if (!(await loadTruth(db, folder))) {
    throw new UserError(
      'pair-dataset.no-truth',
      `pair dataset: no metadata/ground_truth.parquet in ${folder.path}; questions need a run folder with truth`,
    );
  }
  const patients = await truthLabels(db);
  const confusables = await readConfusables(session);
  const splits = splitByPatient({ patients, together: confusables, seed });
  const households = await groupsBy(db, 'address_canonical');
  const sexAndBirthYears = await groupsBy(db, "gender || ' ' || birth_year");
  const chosen = splitNames.map((name, split): SplitPairs => {
    const most = maxPairs === undefined ? Number.POSITIVE_INFINITY : Math.round((maxPairs * splitShares[name]) / splitShares.train / 2);
    const allows = (left: number, right: number) => splits[left] === split && splits[right] === split;
    const all = truePairs(patients, allows);
    const matches = all.left.length <= most ? all : sample(all, { count: most, seed, split });
    const count = matches.left.length;
    const others = drawNegatives({ patients, splits, households, sexAndBirthYears, confusables, split, count, hardShare, seed });
    if (others.left.length < 0.9 * count || count === 0) {
      throw new UserError(
        'pair-dataset.too-few',
        `pair dataset: too few pairs for the ${name} split: ${count} matches, ${others.left.length} others; use a larger population`,
      );
    }
    return balanced(matches, others, { seed, split });
  });

  const report = reportOf(chosen, patients);
  await writeFolder(out, { names: ['data', 'README.md', 'dataset_info.json'], inputs: [folder.path] }, async (place) => {
    mkdirSync(join(place, 'data'));
    const writing = progress.step('clinical summaries');
    await createSummaries(db, { rows: [...new Set(chosen.flatMap(({ left, right }) => [...left, ...right]))].sort((a, b) => a - b) });
    for (const [split, pairs] of chosen.entries()) await writeSplit(db, pairs, join(place, 'data', `${splitNames[split]}.parquet`));
    await db.run('drop table summaries');
    writing.finish();
    await writeJson(join(place, 'dataset_info.json'), {
      timestamp,
      hf_repo: repository ?? null,
      splits: report.splits,
      augmented_dir: source,
      seed,
      hard_negative_share: hardShare,
      kinds: report.kinds,
      patients: report.patients,
      fingerprint: report.fingerprint,
    });
    await writeText(join(place, 'README.md'), datasetCard({ ...report, hardShare, seed }));
  });
  return report;
}

/** Patients made alike, as numbers of the truth; none where the run folder does not say. */
async function readConfusables({ db, folder }: Session): Promise<readonly (readonly [number, number])[]> {
  const file = join(folder.path, 'metadata', 'confusable_pairs.parquet');
  if (!existsSync(file)) return [];
  const { source, target } = await db.columns<{ source: Int32Array; target: Int32Array }>(`
    with numbered as (select true_patient_id as id, cast(dense_rank() over (order by true_patient_id) - 1 as INTEGER) as patient
      from truth where true_patient_id is not null),
    patients as (select distinct id, patient from numbered)
    select a.patient as source, b.patient as target from read_parquet(${literal(file)}) c
      join patients a on a.id = c.source_patient_id join patients b on b.id = c.target_patient_id order by 1, 2`);
  return Array.from(source, (one, i) => [one, target[i]!] as const);
}

/** Records by what an expression over `records` says of them; those it says nothing of are in no group. */
async function groupsBy(db: Database, key: string): Promise<readonly (readonly number[])[]> {
  const { row, place } = await db.columns<{ row: Int32Array; place: Int32Array }>(`
    select row, cast(dense_rank() over (order by key) - 1 as INTEGER) as place
    from (select row, ${key} as key from records) where key is not null order by row`);
  const groups: number[][] = [];
  for (const [i, group] of place.entries()) (groups[group] ??= []).push(row[i]!);
  return groups.filter(({ length }) => length > 1);
}

function sample(
  { left, right }: Pairs,
  { count, seed, split }: { readonly count: number; readonly seed: number; readonly split: number },
): Pairs {
  const kept = random(seed, 'matches', split)
    .shuffle([...left.keys()])
    .slice(0, count)
    .sort((a, b) => a - b);
  return { left: Int32Array.from(kept, (i) => left[i]!), right: Int32Array.from(kept, (i) => right[i]!) };
}

/** As many of either, shuffled. */
function balanced(
  matches: Pairs,
  others: Pairs & { readonly kinds: readonly NegativeKind[] },
  { seed, split }: { readonly seed: number; readonly split: number },
): SplitPairs {
  const size = Math.min(matches.left.length, others.left.length);
  const draw = random(seed, 'order', split);
  const first = (pairs: Pairs) => draw.shuffle([...pairs.left.keys()]).slice(0, size);
  const rows = draw.shuffle([
    ...first(matches).map((i) => ({ left: matches.left[i]!, right: matches.right[i]!, kind: 'match' as const })),
    ...first(others).map((i) => ({ left: others.left[i]!, right: others.right[i]!, kind: others.kinds[i]! })),
  ]);
  return {
    left: Int32Array.from(rows, ({ left }) => left),
    right: Int32Array.from(rows, ({ right }) => right),
    kinds: rows.map(({ kind }) => kind),
  };
}

async function writeSplit(db: Database, { left, right, kinds }: SplitPairs, file: string): Promise<void> {
  await db.createTable('questions', {
    position: { type: 'INTEGER', values: Int32Array.from(left.keys()) },
    left: { type: 'INTEGER', values: left },
    right: { type: 'INTEGER', values: right },
    kind: { type: 'VARCHAR', values: kinds },
  });
  await db.writeParquet(
    `select [{'role': 'user', 'content': ${pairPromptSql('sa.summary', 'sb.summary')}},
        {'role': 'assistant', 'content': case when kind = 'match' then 'True' else 'False' end}] as messages,
      case when kind = 'match' then 1 else 0 end as label, kind, a.record_id as record_id_1, b.record_id as record_id_2
    from questions join records a on a.row = "left" join records b on b.row = "right"
      join summaries sa on sa.row = "left" join summaries sb on sb.row = "right" order by position`,
    file,
    { groupRows: 4096 },
  );
  await db.run('drop table questions');
}

function reportOf(chosen: readonly SplitPairs[], patients: Int32Array): PairDatasetReport {
  const by = <T>(of: (pairs: SplitPairs) => T) =>
    Object.fromEntries(splitNames.map((name, split) => [name, of(chosen[split]!)])) as Record<SplitName, T>;
  const hash = createHash('sha256');
  for (const { left, right, kinds } of chosen) hash.update(left).update(right).update(kinds.join());
  return {
    splits: by(({ left }) => left.length),
    kinds: by(({ kinds }) => {
      const counts: Partial<Record<PairKind, number>> = {};
      for (const kind of kinds) counts[kind] = (counts[kind] ?? 0) + 1;
      return counts;
    }),
    patients: by(({ left, right }) => new Set([...left, ...right].map((row) => patients[row]!)).size),
    fingerprint: hash.digest('hex').slice(0, 16),
  };
}
