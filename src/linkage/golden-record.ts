// One best row per patient out of the rows of a cluster, with a trail from every value back to the records that hold it.
//
// Each field is decided alone among the cluster's values that are there at all (null and blank have no vote):
//   most_frequent   the value most records hold; tie: the value met first
//   most_recent     the value of the record last updated (`updated`), or of the last record when that is not known
//   least_errors    the value fewest typing errors away from the others: least summed edit distance to every record's value;
//                   tie: as most_frequent. A typo is near the truth it came from and far from other typos, so truth wins 1:1:1 ties
//   field_specific  address: the longest; ssn: first with dashes, else first; names: first in title case, else first; other: most_frequent
//
// Worked case: Smith, Smyth, Smith, (none): Smith with 2 votes of 3, 2 candidates. Jonson, Johnson, Johnsen: least_errors takes
// Johnson (1 + 1 edits away; the others 1 + 2).
// Time and memory O(records x fields); edit distances only between a cluster's distinct values.

import { editDistance } from '../base/edit-distance.ts';
import { UserError } from '../base/errors.ts';

/** The fields of a golden record, in the order of its columns. */
export const goldenFields = [
  'first_name',
  'last_name',
  'maiden_name',
  'birthdate',
  'gender',
  'ssn',
  'address',
  'city',
  'state',
  'zip',
] as const;
export type GoldenField = (typeof goldenFields)[number];

/** Source records, column by column; row i of every column is record i. */
export type SourceRecords = {
  readonly recordId: readonly string[];
  readonly facilityId: readonly string[];
  readonly fields: Readonly<Record<GoldenField, readonly (string | null)[]>>;
  /** When each record was last updated, in any unit that grows; NaN = not known. Used by `most_recent`. */
  readonly updated?: ArrayLike<number>;
};

/** Rows of golden_records.parquet, column by column, names and order as the file's. */
export type GoldenRecords = {
  readonly golden_id: string[];
  readonly num_facilities: Int32Array;
  readonly num_records: Int32Array;
  /** Sorted, comma-separated. */
  readonly facilities: string[];
  /** In record order, comma-separated. */
  readonly source_record_ids: string[];
} & Readonly<Record<GoldenField, (string | null)[]>>;

/** One row per golden record and field that has a value: where it comes from. */
export type Provenance = {
  readonly golden_id: string[];
  readonly field: string[];
  readonly value: string[];
  readonly strategy: string[];
  /** Source records that hold the chosen value. */
  readonly votes: number[];
  /** Distinct values seen in the cluster. */
  readonly candidates: number[];
  /** The records that hold the chosen value, comma-separated. */
  readonly source_record_ids: string[];
};

export type GoldenResult = {
  readonly golden: GoldenRecords;
  readonly provenance: Provenance;
  /** golden_id of each source record, in record order. */
  readonly goldenIdOf: readonly string[];
};

export type Strategy = keyof typeof strategies;

/** One field within one cluster: the values that are there, and the records they come from, in record order. */
type Votes = {
  readonly field: GoldenField;
  readonly values: readonly string[];
  readonly records: readonly number[];
  readonly updated: ArrayLike<number> | undefined;
};

const strategies = {
  most_frequent: mostFrequent,
  most_recent: mostRecent,
  least_errors: leastErrors,
  field_specific: fieldSpecific,
} satisfies Record<string, (votes: Votes) => string>;

/** Names of the strategies. */
export const strategyNames: readonly Strategy[] = Object.keys(strategies) as Strategy[];

/**
 * Builds one golden record per cluster.
 *
 * Golden ids are numbered over clusters in order of their smallest record, clusters of several records first, then single records.
 *
 * @param options.clusters cluster number of each record, as `meanLinkage` or `connectedComponents` gives it
 * @throws UserError `golden.strategy` for an unknown strategy, `golden.length` when clusters and records differ in number
 */
export function buildGoldenRecords({
  records,
  clusters,
  strategy = 'most_frequent',
}: {
  readonly records: SourceRecords;
  readonly clusters: ArrayLike<number>;
  readonly strategy?: string;
}): GoldenResult {
  const chooser = readStrategy(strategy);
  const count = records.recordId.length;
  if (clusters.length !== count) {
    throw new UserError('golden.length', `golden records: ${clusters.length} cluster numbers for ${count} records; give one per record`);
  }
  const groups = orderedGroups(clusters);
  const goldenIdOf = new Array<string>(count);
  const golden: GoldenRecords = {
    golden_id: groups.map((_, g) => `golden_${String(g).padStart(6, '0')}`),
    num_facilities: new Int32Array(groups.length),
    num_records: Int32Array.from(groups, (members) => members.length),
    facilities: [],
    source_record_ids: [],
    ...(Object.fromEntries(goldenFields.map((field) => [field, []])) as unknown as Record<GoldenField, (string | null)[]>),
  };
  const provenance: Provenance = { golden_id: [], field: [], value: [], strategy: [], votes: [], candidates: [], source_record_ids: [] };

  groups.forEach((members, g) => {
    const id = golden.golden_id[g]!;
    for (const member of members) goldenIdOf[member] = id;
    const facilities = [...new Set(members.map((member) => records.facilityId[member]!))].sort();
    golden.num_facilities[g] = facilities.length;
    golden.facilities.push(facilities.join(','));
    golden.source_record_ids.push(members.map((member) => records.recordId[member]!).join(','));
    for (const field of goldenFields) {
      const column = records.fields[field];
      const holders = members.filter((member) => isPresent(column[member]));
      const values = holders.map((member) => column[member]!);
      const distinct = new Set(values).size;
      const value = distinct < 2 ? (values[0] ?? null) : strategies[chooser]({ field, values, records: holders, updated: records.updated });
      golden[field].push(value);
      if (value === null) continue;
      const supporters = holders.filter((_, i) => values[i] === value);
      provenance.golden_id.push(id);
      provenance.field.push(field);
      provenance.value.push(value);
      provenance.strategy.push(chooser);
      provenance.votes.push(supporters.length);
      provenance.candidates.push(distinct);
      provenance.source_record_ids.push(supporters.map((member) => records.recordId[member]!).join(','));
    }
  });
  return { golden, provenance, goldenIdOf };
}

function readStrategy(name: string): Strategy {
  if (Object.hasOwn(strategies, name)) return name as Strategy;
  throw new UserError('golden.strategy', `golden records: unknown strategy: ${name}; choose one of ${strategyNames.join(', ')}`);
}

/** Members of each cluster in record order; clusters of several records first, each part in order of its smallest record. */
function orderedGroups(clusters: ArrayLike<number>): readonly (readonly number[])[] {
  const byCluster = new Map<number, number[]>();
  for (let record = 0; record < clusters.length; record++) {
    const members = byCluster.get(clusters[record]!);
    if (members) members.push(record);
    else byCluster.set(clusters[record]!, [record]);
  }
  const groups = [...byCluster.values()];
  return [...groups.filter((members) => members.length > 1), ...groups.filter((members) => members.length === 1)];
}

function isPresent(value: string | null | undefined): value is string {
  return value !== null && value !== undefined && value.trim() !== '';
}

function countVotes(values: readonly string[]): Map<string, number> {
  const votes = new Map<string, number>();
  for (const value of values) votes.set(value, (votes.get(value) ?? 0) + 1);
  return votes;
}

/** The key of the smallest number; ties go to the key met first. */
function keyOfLeast(entries: Iterable<readonly [string, number]>): string {
  let best: readonly [string, number] | undefined;
  for (const entry of entries) if (best === undefined || entry[1] < best[1]) best = entry;
  return best![0];
}

function mostFrequent({ values }: Votes): string {
  return keyOfLeast([...countVotes(values)].map(([value, votes]) => [value, -votes]));
}

function mostRecent({ values, records, updated }: Votes): string {
  let best = values.length - 1;
  if (updated) {
    for (let i = values.length - 2; i >= 0; i--) {
      const [mine, theirs] = [updated[records[i]!]!, updated[records[best]!]!];
      if (mine > theirs || (Number.isNaN(theirs) && !Number.isNaN(mine))) best = i;
    }
  }
  return values[best]!;
}

function leastErrors({ values }: Votes): string {
  const votes = countVotes(values);
  // Edits first; the share of votes, below 1, only breaks ties.
  return keyOfLeast(
    [...votes.keys()].map((value) => {
      let edits = 0;
      for (const [other, times] of votes) edits += times * editDistance(Buffer.from(value), Buffer.from(other));
      return [value, edits - votes.get(value)! / (values.length + 1)];
    }),
  );
}

function fieldSpecific(votes: Votes): string {
  const { field, values } = votes;
  if (field === 'address') return keyOfLeast(values.map((value) => [value, -value.length]));
  if (field === 'ssn') return values.find((value) => value.includes('-')) ?? values[0]!;
  if (field === 'first_name' || field === 'last_name') return values.find(isTitleCase) ?? values[0]!;
  return mostFrequent(votes);
}

/** Every word begins with a capital and goes on in small letters; anything that is not a letter begins a new word. */
function isTitleCase(text: string): boolean {
  const words = text.match(/\p{L}+/gu);
  return words?.every((word) => /^\p{Lu}\P{Lu}*$/u.test(word)) ?? false;
}
