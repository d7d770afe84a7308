// Two programs' answers to one step, compared.

import { isDeepStrictEqual } from 'node:util';

import { lockValue, type Remains, type Report } from './observe.ts';

/** What a step shows: `changed` is what `status` names before it; null where it refuses. */
export type Shown = Report & Remains & { readonly changed: readonly string[] | null };

/** One line for each way in which ours is not theirs; none when the step conforms. */
export function differences(ours: Shown, theirs: Shown, { isDry = false }: { readonly isDry?: boolean } = {}): readonly string[] {
  const lists = (what: string, mine: readonly string[], peer: readonly string[]) => {
    const less = peer.filter((one) => !mine.includes(one));
    const more = mine.filter((one) => !peer.includes(one));
    return less.length + more.length === 0
      ? []
      : [`${what}: ${[...less.map((one) => `-${one}`), ...more.map((one) => `+${one}`)].join(' ')}`];
  };
  return [
    ...(ours.ok === theirs.ok ? [] : [`ends ${theirs.ok ? 'well' : 'badly'} in DVC, ${ours.ok ? 'well' : 'badly'} here`]),
    ...(theirs.changed && ours.changed
      ? lists('status', ours.changed, theirs.changed)
      : // A pipeline that neither will run is refused by one sooner than by the other.
        (theirs.changed || ours.changed) && (ours.ok || theirs.ok)
        ? [`status is refused by ${theirs.changed ? 'us' : 'DVC'} alone`]
        : []),
    // In a dry run DVC names one stage in several ways.
    ...(isDry ? [] : (['ran', 'restored', 'skipped'] as const).flatMap((what) => lists(what, ours[what], theirs[what]))),
    ...lists('tree', ours.tree, theirs.tree),
    ...lists('cache', ours.cache, theirs.cache),
    ...lists('run cache', ours.runs, theirs.runs),
    ...lockDifferences(ours.lock, theirs.lock),
  ];
}

/** Value by value: DVC's own spelling of YAML is free, what it says is not. */
function lockDifferences(ours: string | undefined, theirs: string | undefined): readonly string[] {
  if ((ours === undefined) !== (theirs === undefined)) return [`dvc.lock: only ${ours === undefined ? 'DVC writes it' : 'we write it'}`];
  const [mine, peer] = [lockValue(ours), lockValue(theirs)];
  if (isDeepStrictEqual(mine, peer)) return [];
  return [`dvc.lock: ${firstDifference(mine, peer, '')}`];
}

function firstDifference(mine: unknown, peer: unknown, path: string): string {
  if (isMap(mine) && isMap(peer)) {
    for (const key of new Set([...Object.keys(peer), ...Object.keys(mine)]))
      if (!isDeepStrictEqual(mine[key], peer[key])) return firstDifference(mine[key], peer[key], `${path}/${key}`);
  }
  return `${path}: ${text(mine)}, DVC has ${text(peer)}`;
}

const isMap = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

const text = (value: unknown) =>
  value === undefined
    ? 'nothing'
    : (JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? `${one}n` : one)) ?? String(value)).slice(0, 200);
