// Which facilities a patient goes to, and which of them gets which encounter.
//
// Idea: k facilities are drawn for each patient (k from the given weights); the first drawn is primary. Encounters in order of time:
// the earliest floor(n * primaryShare) go to the primary, the rest one by one to the others in the order drawn, round and round. So a
// patient moves on in life, and no encounter is at two places.
//
// Worked case: 5 encounters, facilities drawn 3, 1, 4, share 0.6: encounters 1-3 at facility 3, 4 at facility 1, 5 at facility 4.
// A patient with one encounter and two facilities was only ever at the second: floor(0.6) = 0.
// Each patient draws from a stream of its own, so adding a patient moves nobody else.

import { random } from '../base/random.ts';
import type { Database } from '../sql/duckdb.ts';
import type { SegmentSettings } from './settings.ts';

/** The facilities drawn for one patient, primary first, in [1, facilities]. */
export function drawFacilities(
  patient: string,
  { seed, facilities, facilityCountWeights }: Pick<SegmentSettings, 'seed' | 'facilities' | 'facilityCountWeights'>,
): readonly number[] {
  const stream = random(seed, 'assignment', patient);
  const counts = Object.keys(facilityCountWeights);
  const drawn = Number(counts[stream.weighted(counts.map((key) => facilityCountWeights[key]!))]);
  const all = Array.from({ length: facilities }, (_, i) => i + 1);
  return stream.shuffle(all).slice(0, Math.min(drawn, facilities));
}

/**
 * Creates table `visits(Id, PATIENT, START, facility)`: every encounter with its facility.
 *
 * @param db holds `patients(Id)` and `encounters(Id, PATIENT, START)`
 */
export async function assignEncounters(db: Database, settings: SegmentSettings): Promise<void> {
  const patients = await db.rows<{ Id: string }>('select "Id" from patients order by "Id"');
  const drawn = patients.flatMap(({ Id }) => drawFacilities(Id, settings).map((facility, nth) => ({ Id, nth, facility })));
  await db.createTable('drawn', {
    patient: { type: 'VARCHAR', values: drawn.map(({ Id }) => Id) },
    nth: { type: 'INTEGER', values: drawn.map(({ nth }) => nth) },
    facility: { type: 'INTEGER', values: drawn.map(({ facility }) => facility) },
  });
  await db.run(`
    create or replace table visits as
    with numbered as (
      select "Id", "PATIENT", "START",
        row_number() over (partition by "PATIENT" order by "START", "Id") - 1 as nth,
        floor(count(*) over (partition by "PATIENT") * ${settings.primaryShare}::double)::bigint as cut
      from encounters
    ), chosen as (select patient, list(facility order by nth) as facilities from drawn group by patient)
    select n."Id", n."PATIENT", n."START",
      case when len(facilities) = 1 or nth < cut then facilities[1] else facilities[2 + (nth - cut) % (len(facilities) - 1)] end as facility
    from numbered n join chosen c on c.patient = n."PATIENT"`);
}
