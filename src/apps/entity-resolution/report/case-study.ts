// Picks the patient the report tells about: one whose golden record is right (where the truth is known), whose records fall apart when
// demographics decide alone, with as many records and pieces as can be had. Ties go to the first golden record.

import type { EvidenceModel } from '../../../evidence/model-file.ts';
import { type Database, literal } from '../../../sql/duckdb.ts';
import type { CaseLink, CaseStudy } from './data.ts';
import { explainCase } from './explain-case.ts';

export type CaseInput = {
  readonly db: Database;
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly demographic: Float64Array;
  /** Log-odds that decided, rules included. */
  readonly total: Float64Array;
  /** Final cluster of each record, and its cluster when demographics decide alone. */
  readonly clusters: Int32Array;
  readonly clustersBefore: Int32Array;
  /** True patient of each record, -1 unknown. */
  readonly truth?: Int32Array;
  readonly goldenFile: string;
  readonly goldenIdOf: readonly string[];
  readonly features: string;
  readonly model?: EvidenceModel | undefined;
};

const shownFields = ['first_name', 'last_name', 'maiden_name', 'birthdate', 'gender', 'ssn', 'address', 'city', 'zip'] as const;

/** The patient to tell about; nothing when demographics alone split nobody. */
export async function collectCaseStudy(input: CaseInput): Promise<CaseStudy | undefined> {
  const members = chooseMembers(input);
  if (!members) return undefined;
  const { db, clustersBefore, goldenFile, goldenIdOf } = input;
  const goldenId = goldenIdOf[members[0]!]!;
  const select = shownFields.map((field) =>
    field === 'birthdate' ? "strftime(birthdate, '%Y-%m-%d') as birthdate" : `${field}::VARCHAR as ${field}`,
  );
  const rows = await db.rows<Record<string, string | null>>(
    `select facility_id, ${select.join(', ')} from records where row in (${members.join(', ')}) order by row`,
  );
  const [golden] = await db.rows<Record<string, string | null>>(
    `select ${select.join(', ')} from read_parquet(${literal(goldenFile)}) where golden_id = ${literal(goldenId)}`,
  );
  const fields = shownFields.filter((field) => [golden!, ...rows].some((row) => row[field] !== null));
  const pieces = [...new Set(members.map((member) => clustersBefore[member]!))];
  const links = linksWithin(input, members);
  const story = await pairStory(input, members, links);
  return {
    goldenId,
    facilities: rows.map((row) => row['facility_id']!),
    fields,
    rows: rows.map((row) => fields.map((field) => row[field] ?? null)),
    golden: fields.map((field) => golden![field] ?? null),
    piecesBefore: members.map((member) => pieces.indexOf(clustersBefore[member]!)),
    links,
    ...(story ? { story } : {}),
  };
}

function chooseMembers(input: CaseInput): readonly number[] | undefined {
  const { clusters, clustersBefore } = input;
  const groups = new Map<number, number[]>();
  clusters.forEach((cluster, record) => {
    const members = groups.get(cluster);
    if (members) members.push(record);
    else groups.set(cluster, [record]);
  });
  const isRight = rightCluster(input);
  const told = clearestPerCluster(input);
  let best: { readonly members: readonly number[]; readonly score: number } | undefined;
  for (const [cluster, members] of groups) {
    const pieces = new Set(members.map((member) => clustersBefore[member]!)).size;
    if (pieces < 2 || !isRight(members)) continue;
    // A case is told by a pair that demographics speak against; the clearer the histories there (to 12 nats), the better.
    const score = 10 * Math.min(members.length, 5) + pieces + (told.has(cluster) ? 20 + Math.min(12, told.get(cluster)!) : 0);
    if (best === undefined || score > best.score) best = { members, score };
  }
  return best?.members;
}

/** Whether a cluster is exactly one true patient; always so where the truth is not known. */
function rightCluster({ truth }: CaseInput): (members: readonly number[]) => boolean {
  if (!truth) return () => true;
  const sizes = new Map<number, number>();
  for (const label of truth) sizes.set(label, (sizes.get(label) ?? 0) + 1);
  return (members) => {
    const label = truth[members[0]!]!;
    return label >= 0 && sizes.get(label) === members.length && members.every((member) => truth[member] === label);
  };
}

/** Per final cluster: the strongest clinical weight (nats) of a pair that it joins across pieces although demographics speak against it. */
function clearestPerCluster({ left, right, demographic, total, clusters, clustersBefore }: CaseInput): ReadonlyMap<number, number> {
  const told = new Map<number, number>();
  left.forEach((a, k) => {
    const b = right[k]!;
    if (clusters[a] !== clusters[b] || clustersBefore[a] === clustersBefore[b]) return;
    if (demographic[k]! < 0 && total[k]! > 0) {
      told.set(clusters[a]!, Math.max(told.get(clusters[a]!) ?? 0, total[k]! - demographic[k]!));
    }
  });
  return told;
}

function linksWithin({ left, right, demographic, total }: CaseInput, members: readonly number[]): CaseLink[] {
  const place = new Map(members.map((member, i) => [member, i]));
  const links = new Map<string, CaseLink>();
  members.forEach((_, i) => {
    for (let j = i + 1; j < members.length; j++) links.set(`${i} ${j}`, { left: i, right: j });
  });
  left.forEach((a, k) => {
    const [i, j] = [place.get(a), place.get(right[k]!)];
    if (i === undefined || j === undefined) return;
    const [low, high] = i < j ? [i, j] : [j, i];
    links.set(`${low} ${high}`, { left: low, right: high, demographic: demographic[k]!, total: total[k]! });
  });
  return [...links.values()];
}

/** The pair that shows the point best: across two pieces, joined in the end, demographics against it, the histories strongest for it. */
async function pairStory({ db, clustersBefore, features, model }: CaseInput, members: readonly number[], links: readonly CaseLink[]) {
  const across = links.filter(
    (link) => link.total !== undefined && link.total > 0 && clustersBefore[members[link.left]!] !== clustersBefore[members[link.right]!],
  );
  const against = across.filter((link) => link.demographic! < 0);
  const clinical = (link: CaseLink) => link.total! - link.demographic!;
  const hardest = (against.length > 0 ? against : across).toSorted((a, b) => clinical(b) - clinical(a))[0];
  if (!hardest) return undefined;
  const [left, right] = [members[hardest.left]!, members[hardest.right]!];
  const demographic = hardest.demographic!;
  const { prior, facts } = await explainCase({ db, features, model, left, right, demographic });
  const ids = await db.rows<{ record_id: string }>(`select record_id from records where row in (${left}, ${right}) order by row`);
  return {
    left: ids[0]!.record_id,
    right: ids[1]!.record_id,
    leftMember: hardest.left,
    rightMember: hardest.right,
    demographic,
    clinical: hardest.total! - demographic,
    prior,
    facts,
  };
}
