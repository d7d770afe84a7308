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

function chooseMembers({ clusters, clustersBefore, truth }: CaseInput): readonly number[] | undefined {
  const groups = new Map<number, number[]>();
  clusters.forEach((cluster, record) => {
    const members = groups.get(cluster);
    if (members) members.push(record);
    else groups.set(cluster, [record]);
  });
  const sizes = new Map<number, number>();
  for (const label of truth ?? []) sizes.set(label, (sizes.get(label) ?? 0) + 1);
  let best: { readonly members: readonly number[]; readonly score: number } | undefined;
  for (const members of groups.values()) {
    const pieces = new Set(members.map((member) => clustersBefore[member]!)).size;
    if (pieces < 2) continue;
    const label = truth?.[members[0]!];
    if (truth && (label === -1 || sizes.get(label!) !== members.length || members.some((member) => truth[member] !== label))) continue;
    const score = 10 * Math.min(members.length, 5) + pieces;
    if (best === undefined || score > best.score) best = { members, score };
  }
  return best?.members;
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

/** The pair that shows the point best: joined in the end, furthest from it by demographics, across two pieces. */
async function pairStory({ db, clustersBefore, features, model }: CaseInput, members: readonly number[], links: readonly CaseLink[]) {
  const across = links.filter(
    (link) => link.total !== undefined && link.total > 0 && clustersBefore[members[link.left]!] !== clustersBefore[members[link.right]!],
  );
  const hardest = across.toSorted((a, b) => a.demographic! - b.demographic!)[0];
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
