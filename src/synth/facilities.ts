// Names and addresses of the made-up facilities. An address is that of a real organization of the data; towns and surnames in names
// come from the data too, so a Texan population gets Texan hospitals.

import { random } from '../base/random.ts';

export type Organization = {
  readonly address: string | null;
  readonly city: string | null;
  readonly state: string | null;
  readonly zip: string | null;
  readonly lat: number | null;
  readonly lon: number | null;
};

export type Facility = Organization & { readonly facility_id: number; readonly name: string; readonly type: string };

const types = ['Hospital', 'Medical Center', 'Health Clinic', 'Community Hospital', 'Regional Medical Center'];

const patterns: readonly ((words: { readonly city: string; readonly surname: string; readonly type: string }) => string)[] = [
  ({ city, type }) => `${city} ${type}`,
  ({ city, type }) => `${city} General ${type}`,
  ({ surname, type }) => `St. ${surname}'s ${type}`,
  ({ surname, type }) => `${surname} Memorial ${type}`,
  ({ city, type }) => `${city} Community ${type}`,
];

/** One facility for each number from 1 to `count`, each from a stream of its own. */
export function inventFacilities({
  count,
  seed,
  organizations,
  surnames,
}: {
  readonly count: number;
  readonly seed: number;
  readonly organizations: readonly Organization[];
  readonly surnames: readonly string[];
}): readonly Facility[] {
  const nowhere: Organization = { address: null, city: null, state: null, zip: null, lat: null, lon: null };
  return Array.from({ length: count }, (_, i) => {
    const stream = random(seed, 'facility', i + 1);
    const place = organizations.length > 0 ? stream.pick(organizations) : nowhere;
    const city = titleCase(organizations.length > 0 ? (stream.pick(organizations).city ?? '') : '') || 'Central';
    const surname = surnames.length > 0 ? stream.pick(surnames) : 'Mercy';
    const name = stream.pick(patterns)({ city, surname, type: stream.pick(types) });
    return { facility_id: i + 1, name, ...place, type: stream.pick(types) };
  });
}

function titleCase(text: string): string {
  return text.toLowerCase().replace(/(^|[^a-z])([a-z])/g, (_, before: string, letter: string) => before + letter.toUpperCase());
}
