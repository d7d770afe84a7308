import { UserError } from '../../base/errors.ts';
import { writeFile } from '../../base/files.ts';
import { nearest } from '../../base/text.ts';
import { bestLinks } from '../../linkage/best-links.ts';
import { connectedComponents, meanLinkage } from '../../linkage/cluster.ts';
import { Encoder, recordName } from '../../linkage/encode.ts';
import { writeClusters } from '../../linkage/write-clusters.ts';
import { requireColumns } from '../../sql/columns.ts';
import { type Database, literal, quote, readingFile } from '../../sql/duckdb.ts';
import { sourceOfPairs } from './clusters.ts';
import { loadTable, refuseSamePlace } from './input.ts';
import { openStore } from './session.ts';

export type ClusterOptions = {
  /** Pairs as `dedupe`, `predict` or Splink write them. */
  readonly pairsFile: string;
  readonly out: string;
  /** Match probability from which a pair joins two records. */
  readonly threshold: number;
  /** Id column without its `_l` or `_r`; with the source column (`source_dataset` where the pairs have it) where there are sources. */
  readonly id: string;
  readonly source?: string | undefined;
  /** Any chain of pairs joins; mutual best links; clusters by the mean of all pairs between them. */
  readonly method?: 'components' | 'best-links' | 'mean' | undefined;
  /** Sources that hold no person twice: no cluster gets two of their records. Best links take every source unless told. */
  readonly duplicateFree?: readonly string[] | undefined;
  /** What best links do with equally good links to one duplicate-free source. */
  readonly ties?: 'lowest_id' | 'drop' | undefined;
};

export type ClusterResult = {
  readonly records: number;
  readonly clusters: number;
  /** Mean linkage only: pairs inside clusters that are not in the file, which counted against. */
  readonly unseenInside?: number;
};

type Links = { readonly left: Int32Array; readonly right: Int32Array; readonly probability: Float64Array };

/**
 * Joins the records of a file of pairs. Records that are in no pair are not in the file: they are clusters of one.
 *
 * @throws UserError `linkage.column` for a file without the ids or `match_probability`, `linkage.ids` for a pair without an id,
 * `linkage.cluster` for options that do not go together, or a source that is not in the file
 */
export async function cluster(options: ClusterOptions): Promise<ClusterResult> {
  const { pairsFile, out, threshold, id, method = 'components', duplicateFree, ties } = options;
  refuseSamePlace([pairsFile], [out]);
  await using db = await openStore({});
  await loadTable(db, pairsFile, 'pairs');
  const names = (await db.describe('pairs')).map(({ name }) => name);
  const source = sourceOfPairs(options.source, names);
  checkOptions({ ...options, source });
  const keys = [...(source ? [source] : []), id];
  const sided = keys.flatMap((key) => [`${key}_l`, `${key}_r`]);
  const hint = '--id names the id column without _l';
  requireColumns(['match_probability', ...sided], names, { part: 'cluster', code: 'linkage.column', file: pairsFile, hint });
  const missing = await db.value<number>(
    `select count(*) from pairs where ${keys.map((key) => `${quote(`${key}_l`)} is null or ${quote(`${key}_r`)} is null`).join(' or ')}`,
  );
  if (missing > 0) throw new UserError('linkage.ids', `cluster: pairs without an id: ${missing} in ${pairsFile}; every record needs one`);
  const side = (letter: string) => keys.map((key) => `${quote(`${key}_${letter}`)} as ${quote(key)}`).join(', ');
  await db.run(
    `create table nodes as select row_number() over (order by ${recordName(id, source)}) - 1 as row, *
     from (select ${side('l')} from pairs union select ${side('r')} from pairs)`,
  );
  const same = (letter: string) => keys.map((key) => `${letter}.${quote(key)} = p.${quote(`${key}_${letter}`)}`).join(' and ');
  const least = method === 'mean' ? 0 : threshold;
  const read = await readingFile(pairsFile, () =>
    db.columns<Links>(
      `select l.row::integer as "left", r.row::integer as "right", cast(p.match_probability as double) as probability
       from pairs p join nodes l on ${same('l')} join nodes r on ${same('r')} where cast(p.match_probability as double) >= ${least}`,
    ),
  );
  const links: Links = read.left ? read : { left: new Int32Array(), right: new Int32Array(), probability: new Float64Array() };
  const count = await db.value<number>('select count(*) from nodes');
  const origin = source && method !== 'components' ? await sourceNumbers(db, source, duplicateFree, method) : undefined;
  const found =
    method === 'components'
      ? connectedComponents(count, links.left, links.right)
      : method === 'best-links'
        ? bestLinks({ count, ...links, source: origin!, ...(ties ? { ties } : {}) })
        : byMean(count, links, threshold, origin);
  const named = {
    linkType: source ? 'link_and_dedupe' : 'dedupe_only',
    uniqueId: id,
    ...(source ? { source } : {}),
    comparisons: [],
  } as const;
  // Records are numbered by their names here as they are there.
  const records = await Encoder.open(db, 'nodes', named, [...new Set(keys)]);
  await writeFile(out, (place) => writeClusters(records, named, found, place));
  const clusters = found.reduce((most, one) => Math.max(most, one + 1), 0);
  return { records: count, clusters, ...(method === 'mean' ? { unseenInside: countUnseen(found, links) } : {}) };
}

function checkOptions({ method = 'components', source, duplicateFree, ties }: ClusterOptions): void {
  const refuse = (text: string) => new UserError('linkage.cluster', `cluster: ${text}`);
  if (method === 'components' && duplicateFree) {
    throw refuse('--duplicate-free-datasets with --method components, which joins whatever a chain of pairs joins; use best-links or mean');
  }
  if (ties && method !== 'best-links') throw refuse(`--ties-method with --method ${method}; it is for best-links`);
  if (!source && (method === 'best-links' || duplicateFree)) {
    throw refuse(`${method} without a source column; name it with --source`);
  }
}

/** Number of each record's duplicate-free source, -1 for the other sources; every source counts for best links unless some are named. */
async function sourceNumbers(
  db: Database,
  source: string,
  named: readonly string[] | undefined,
  method: 'best-links' | 'mean',
): Promise<Int32Array> {
  const known = (await db.rows<{ name: string }>(`select distinct cast(${quote(source)} as varchar) as name from nodes order by 1`)).map(
    ({ name }) => name,
  );
  const stranger = named?.find((name) => !known.includes(name));
  if (stranger !== undefined) {
    const near = nearest(stranger, known);
    throw new UserError(
      'linkage.cluster',
      `cluster: source not found: ${stranger}; ${near ? `did you mean ${near}?` : `the pairs are of: ${known.slice(0, 12).join(', ')}`}`,
    );
  }
  const free = named ?? (method === 'best-links' ? known : []);
  const list = `[${free.map(literal).join(', ')}]::varchar[]`;
  const { place } = await db.columns<{ place: Int32Array }>(
    `select (coalesce(list_position(${list}, cast(${quote(source)} as varchar)), 0) - 1)::integer as place from nodes order by row`,
  );
  return place ?? new Int32Array();
}

/** Mean linkage on log-odds above the threshold's; records of one duplicate-free source are never joined. */
function byMean(count: number, { left, right, probability }: Links, threshold: number, origin: Int32Array | undefined): Int32Array {
  const zero = Math.log(threshold / (1 - threshold));
  const logOdds = probability.map((p) => Math.log(p / (1 - p)) - zero);
  const forbid = (a: number, b: number) => (origin![a]! >= 0 && origin![a] === origin![b] ? Number.POSITIVE_INFINITY : 0);
  return meanLinkage({ count, left, right, logOdds, ...(origin ? { forbid } : {}) });
}

/** Pairs inside clusters that no row of the file says anything about. */
function countUnseen(cluster: Int32Array, { left, right }: Links): number {
  const sizes = new Map<number, number>();
  for (const one of cluster) sizes.set(one, (sizes.get(one) ?? 0) + 1);
  const all = [...sizes.values()].reduce((sum, size) => sum + (size * (size - 1)) / 2, 0);
  const seen = new Set<number>();
  for (let k = 0; k < left.length; k++) {
    const [a, b] = [Math.min(left[k]!, right[k]!), Math.max(left[k]!, right[k]!)];
    if (a !== b && cluster[a] === cluster[b]) seen.add(a * cluster.length + b);
  }
  return all - seen.size;
}
