import { UserError } from '../../base/errors.ts';
import { writeJson } from '../../base/files.ts';
import { recordName } from '../../linkage/encode.ts';
import type { Labels } from '../../linkage/label-m.ts';
import type { LinkageSettings } from '../../linkage/settings.ts';
import { toSplinkJson } from '../../linkage/splink-json.ts';
import type { TrainingReport } from '../../linkage/training.ts';
import { requireColumns } from '../../sql/columns.ts';
import { type Database, quote } from '../../sql/duckdb.ts';
import { numberedPeople } from './clusters.ts';
import { loadTable, readModelFile, refuseSamePlace } from './input.ts';
import { openLinker, openStore, refuseIdle, type StageOptions } from './session.ts';

export type TrainOptions = StageOptions & {
  readonly files: readonly string[];
  readonly settingsFile: string;
  readonly out: string;
  /** Column that is equal on two records of one person: m is counted among such pairs. In place of the training block's. */
  readonly labels?: string | undefined;
  /** File of pairs that are matches, named by the id columns with `_l` and `_r`: m is counted among them. */
  readonly pairwiseLabels?: string | undefined;
};

/**
 * Estimates a model's prior, u and m on records and writes it as a Splink model, which Splink loads as well.
 *
 * @throws UserError `linkage.training` for settings without a `training` block and no labels, `linkage.labels`
 */
export async function train({ files, settingsFile, out, labels, pairwiseLabels, ...stage }: TrainOptions): Promise<TrainingReport> {
  refuseSamePlace([...files, settingsFile, ...(pairwiseLabels ? [pairwiseLabels] : [])], [out]);
  const { settings, plan } = readModelFile(settingsFile);
  if (labels && pairwiseLabels) throw new UserError('linkage.labels', 'linkage: both a column and a file of labels; name one');
  if (plan === undefined && !labels && !pairwiseLabels) {
    throw new UserError('linkage.training', `linkage: no training block in ${settingsFile}; add one with em_rules (docs/linkage.md)`);
  }
  const wanted = { emRules: [], ...plan, ...(labels ? { labels: { column: labels } } : {}) };
  if (!pairwiseLabels) refuseIdle(wanted, settingsFile);
  await using db = await openStore(stage);
  await using linker = await openLinker(db, files, settings, stage);
  const given = pairwiseLabels ? { ...wanted, labels: await readLabels(db, pairwiseLabels, settings) } : wanted;
  const report = await linker.train(given);
  await writeJson(out, toSplinkJson(linker.settings));
  return report;
}

/** Reads labelled pairs as record numbers, each once; a row with a `clerical_match_score` below 0.5 is no match, and left out. */
async function readLabels(db: Database, file: string, { linkType, uniqueId, source }: LinkageSettings): Promise<Labels> {
  await loadTable(db, file, 'labels');
  const names = (await db.describe('labels')).map(({ name }) => name);
  const origin = linkType === 'dedupe_only' ? undefined : source;
  const sided = [...(origin ? [origin] : []), uniqueId].flatMap((key) => [`${key}_l`, `${key}_r`]);
  requireColumns(sided, names, { part: 'labels', code: 'linkage.column', file });
  const score = names.find((name) => name.toLowerCase() === 'clerical_match_score');
  const named = (side: string) => `cast(${recordName(uniqueId + side, origin && origin + side)} as varchar)`;
  await db.run(
    `create table labelled as select ${named('_l')} as l, ${named('_r')} as r from labels
     ${score ? `where try_cast(${quote(score)} as double) >= 0.5` : ''}`,
  );
  await db.run(
    `create table nodes as select row, cast(${recordName(uniqueId, origin)} as varchar) as name from ${numberedPeople(uniqueId, origin)}`,
  );
  const strangers = await db.value<number>(
    'select count(*) from (select l as name from labelled union all select r from labelled) anti join nodes using (name)',
  );
  if (strangers > 0) throw new UserError('linkage.labels', `labels: ids that no record has: ${strangers} in ${file}; name their records`);
  const { left, right } = await db.columns<{ left: Int32Array; right: Int32Array }>(
    `select distinct least(a.row, b.row)::integer as "left", greatest(a.row, b.row)::integer as "right"
     from labelled join nodes a on a.name = l join nodes b on b.name = r where a.row <> b.row order by 1, 2`,
  );
  return { left: left ?? new Int32Array(), right: right ?? new Int32Array() };
}
