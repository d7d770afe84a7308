// Made-up people for tests of speed and parity: any number of records, the same bytes for the same options, no list of real names.
//
// Names are syllables; how often each is used follows weight 1 / (rank + k), k chosen so that the most common one has a share near that
// of the US census: 0.8 % for the family name (of 40,000), 2 % for the given name (of 3,000). Cities (2,000, the biggest 5 %), streets and
// the ZIP codes of a city are drawn alike. 30 % of people have one to three noisy copies, which is one true pair a person, and 3 % of values
// are missing. Worked case: 1,000,000 records are 625,000 persons with about 620,000 true pairs.
//
// Text goes through a file of tab-separated lines, so memory does not grow with the records: one million takes about 8 s.

import { closeSync, existsSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { temporaryFolder, writeFile } from '../src/base/files.ts';
import { type Random, random } from '../src/base/random.ts';
import { Database, literal } from '../src/sql/duckdb.ts';
import { cache } from './populations.ts';

export type PeopleOptions = {
  /** Records, copies included. */
  readonly count: number;
  readonly seed?: number;
  /** Share of people who live in the biggest city. */
  readonly biggestCity?: number;
  /** So many records share one last name and city. */
  readonly block?: number;
  /** Least number of letters of a first or last name. */
  readonly nameLetters?: number;
  /** A column without any value. */
  readonly nullColumn?: Column;
};

const columns = ['first_name', 'last_name', 'birthdate', 'ssn', 'address', 'city', 'zip', 'latitude', 'longitude', 'tags'] as const;
type Column = (typeof columns)[number];
type Person = Record<Column, string>;

const missingShare = 0.03;

/** Parquet file of these people; made when absent. Columns: unique_id, person (the truth, never to be compared) and the ten above. */
export async function people(options: PeopleOptions): Promise<string> {
  const { count, seed = 1, ...skew } = options;
  const name = [count, seed, ...Object.entries(skew).flat()].join('-');
  const file = join(cache, 'bench', 'people', `people-${name}.parquet`);
  if (existsSync(file)) return file;
  const scratch = temporaryFolder();
  try {
    const lines = join(scratch.path, 'people.tsv');
    writeLines(lines, { seed, ...options });
    await using db = await Database.open({ memoryMb: 4000 });
    await db.run(`create table people as select printf('r%08d', place) as unique_id, person, ${columns.map(typed).join(', ')}
      from read_csv(${literal(lines)}, header = false, delim = '\t', quote = '', escape = '', columns = {'place': 'INTEGER', 'person': 'INTEGER',
        ${columns.map((column) => `'${column}': 'VARCHAR'`).join(', ')}}) order by place`);
    await writeFile(file, (place) => db.writeParquet('from people', place));
  } finally {
    scratch.remove();
  }
  return file;
}

function typed(column: Column): string {
  if (column === 'tags') return "string_split(tags, ' ') as tags";
  return column === 'latitude' || column === 'longitude' ? `${column}::double as ${column}` : column;
}

function writeLines(file: string, { count, seed = 1, block = 0, nullColumn, ...skew }: PeopleOptions): void {
  const rng = random(seed, 'people');
  const world = makeWorld(seed, skew);
  const places = shuffledNumbers(count, rng);
  const handle = openSync(file, 'w');
  let [written, lines] = [0, ''];
  const write = (person: number, one: Person) => {
    if (written === count) return;
    const shown = columns.map((column) => (rng.float() < missingShare || column === nullColumn ? '' : one[column]));
    if (written < block) [shown[1], shown[5]] = [world.family.items[0]!, world.city.items[0]!.name];
    lines += `${places[written]}\t${person}\t${shown.join('\t')}\n`;
    written += 1;
    if (lines.length > 1 << 20 || written === count) {
      writeSync(handle, lines);
      lines = '';
    }
  };
  for (let person = 0; written < count; person++) {
    const one = makePerson(rng, world);
    write(person, one);
    const copies = rng.float() < 0.3 ? rng.integer(1, 3) : 0;
    for (let i = 0; i < copies; i++) write(person, damaged(one, rng, world));
  }
  closeSync(handle);
}

function makePerson(rng: Random, world: World): Person {
  const year = rng.integer(1935, 2019);
  const month = rng.integer(1, 12);
  const day = rng.integer(1, new Date(Date.UTC(year, month, 0)).getUTCDate());
  const tags = Array.from({ length: rng.integer(0, 4) }, () => `t${rng.integer(1, 40)}`);
  return {
    first_name: draw(world.given, rng),
    last_name: draw(world.family, rng),
    birthdate: isoDate(year, month, day),
    ssn: digits(rng.integer(1, 899_999_999), 9),
    tags: [...new Set(tags)].join(' '),
    ...makeHome(rng, world),
  };
}

function makeHome(rng: Random, world: World): Pick<Person, 'address' | 'city' | 'zip' | 'latitude' | 'longitude'> {
  const city = draw(world.city, rng);
  const zip = rng.integer(0, city.zips - 1);
  const near = (degrees: number) => (degrees + (zip % 10) * 0.02 + rng.float() * 0.02).toFixed(5);
  return {
    address: `${1 + Math.floor(rng.float() ** 2 * 2000)} ${draw(world.street, rng)} ${rng.pick(['St', 'Ave', 'Rd', 'Ln', 'Dr', 'Ct'])}`,
    city: city.name,
    zip: digits(city.firstZip + zip, 5),
    latitude: near(city.latitude),
    longitude: near(city.longitude),
  };
}

/** A later record of the same person: typing errors, day and month swapped, another name, another home. */
function damaged(one: Person, rng: Random, world: World): Person {
  const maybe = (share: number, value: string) => (rng.float() < share ? typo(value, rng) : value);
  return {
    ...one,
    ...(rng.float() < 0.1
      ? makeHome(rng, world)
      : { address: maybe(0.1, one.address), city: maybe(0.05, one.city), zip: maybe(0.03, one.zip) }),
    first_name: maybe(0.12, one.first_name),
    last_name: rng.float() < 0.03 ? draw(world.family, rng) : maybe(0.1, one.last_name),
    birthdate: rng.float() < 0.1 ? otherDate(one.birthdate, rng) : one.birthdate,
    ssn: maybe(0.08, one.ssn),
  };
}

/** One letter or digit left out, doubled, replaced, or swapped with the next. */
function typo(text: string, rng: Random): string {
  const at = rng.integer(0, text.length - 2);
  const [before, here, next, after] = [text.slice(0, at), text[at]!, text[at + 1]!, text.slice(at + 2)];
  const other = /\d/.test(here) ? String(rng.integer(0, 9)) : rng.pick([...'aeiorstln']);
  return rng.pick([
    before + next + after,
    before + here + here + next + after,
    before + other + next + after,
    before + next + here + after,
  ]);
}

/** Day and month swapped where that is a date, else a day or a year beside. */
function otherDate(date: string, rng: Random): string {
  const [year, month, day] = date.split('-').map(Number) as [number, number, number];
  if (day <= 12 && rng.float() < 0.7) return isoDate(year, day, month);
  return rng.float() < 0.5
    ? isoDate(year, month, Math.max(1, Math.min(28, day + rng.pick([-1, 1]))))
    : isoDate(year + rng.pick([-1, 1, 10]), month, Math.min(28, day));
}

const isoDate = (year: number, month: number, day: number) => `${year}-${digits(month, 2)}-${digits(day, 2)}`;
const digits = (value: number, length: number) => String(value).padStart(length, '0');

/** Things, most common first, and how common each is up to and including it. */
type Ranked<T> = { readonly items: readonly T[]; readonly cumulated: Float64Array };
type City = {
  readonly name: string;
  readonly firstZip: number;
  readonly zips: number;
  readonly latitude: number;
  readonly longitude: number;
};
type World = {
  readonly given: Ranked<string>;
  readonly family: Ranked<string>;
  readonly street: Ranked<string>;
  readonly city: Ranked<City>;
};

function makeWorld(seed: number, { biggestCity = 0.05, nameLetters = 0 }: Pick<PeopleOptions, 'biggestCity' | 'nameLetters'>): World {
  const rng = random(seed, 'world');
  const shares = ranked(words(2000, [2, 3], rng), biggestCity);
  let nextZip = 501;
  const cities = shares.items.map((name, i): City => {
    // A ZIP code is one in a thousand people, more in a village.
    const zips = Math.ceil((shares.cumulated[i]! - (shares.cumulated[i - 1] ?? 0)) * 1000);
    const firstZip = nextZip;
    nextZip += zips;
    return { name, firstZip, zips, latitude: 30 + rng.float() * 18, longitude: -120 + rng.float() * 50 };
  });
  const lengthened = (names: readonly string[]) =>
    names.map((name) => {
      let long = name;
      while (long.length < nameLetters) long += rng.pick(syllableStarts) + rng.pick(vowels);
      return long;
    });
  return {
    given: ranked(lengthened(words(3000, [1, 3], rng)), 0.02),
    family: ranked(lengthened(words(40_000, [2, 3], rng)), 0.008),
    street: ranked(words(4000, [1, 3], rng), 0.02),
    city: { items: cities, cumulated: shares.cumulated },
  };
}

const syllableStarts = [...'bcdfghjklmnprstvwz', ...'bdklmnrst', 'br', 'ch', 'cl', 'gr', 'sh', 'st', 'th', 'tr'];
const vowels = [...'aaaeeeiioouy', 'ai', 'ea', 'ie'];
const syllableEnds = [...Array.from({ length: 12 }, () => ''), ...'nrslmtkd', 'ck', 'nd', 'll'];

/** Different words of so many syllables, capitalised. */
function words(count: number, [least, most]: readonly [number, number], rng: Random): string[] {
  const made = new Set<string>();
  while (made.size < count) {
    const syllables = Array.from(
      { length: rng.integer(least, most) },
      () => rng.pick(syllableStarts) + rng.pick(vowels) + rng.pick(syllableEnds),
    );
    const word = syllables.join('');
    if (word.length > 2) made.add(word[0]!.toUpperCase() + word.slice(1));
  }
  return [...made];
}

/** Weights 1 / (rank + k), k by bisection so that the first has the share asked for. */
function ranked<T>(items: readonly T[], topShare: number): Ranked<T> {
  const sums = (k: number) => {
    let sum = 0;
    return Float64Array.from(items, (_, rank) => (sum += 1 / (rank + 1 + k)));
  };
  let [low, high] = [-1, items.length];
  for (let round = 0; round < 40; round++) {
    const k = (low + high) / 2;
    const cumulated = sums(k);
    if (cumulated[0]! / cumulated.at(-1)! > topShare) low = k;
    else high = k;
  }
  const cumulated = sums(high);
  const all = cumulated.at(-1)!;
  return { items, cumulated: cumulated.map((sum) => sum / all) };
}

function draw<T>({ items, cumulated }: Ranked<T>, rng: Random): T {
  const wanted = rng.float();
  let [low, high] = [0, items.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cumulated[middle]! <= wanted) low = middle + 1;
    else high = middle;
  }
  return items[low]!;
}

/** 0 to count - 1 in random order (Fisher and Yates). */
function shuffledNumbers(count: number, rng: Random): Int32Array {
  const numbers = Int32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = rng.integer(0, i);
    [numbers[i], numbers[j]] = [numbers[j]!, numbers[i]!];
  }
  return numbers;
}
