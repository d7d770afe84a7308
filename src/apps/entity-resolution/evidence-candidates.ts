import type { Pairs } from '../../evidence/score.ts';
import type { Session } from './session.ts';

const keys = [
  ['ssn'],
  ['birthdate'],
  ['first_name', 'last_name'],
  ['first_name', 'birth_year'],
  ['last_name', 'birth_year'],
  ['first_name', 'zip'],
  ['first_name', 'city_canonical'],
  ['last_name', 'zip'],
  ['last_name', 'city_canonical'],
  ['address_canonical'],
  ['soundex_first_name', 'soundex_last_name'],
  ['first_name[:3]', 'last_name[:3]'],
  ['first_name[:2]', 'birth_year'],
  ['last_name[:3]', 'birth_year'],
  ['first_name[:3]', 'zip'],
  ['last_name[:3]', 'zip'],
] as const;

/** Pairs that share a key, across facilities. */
export async function proposeCandidates({ db }: Session): Promise<Pairs & { readonly matchWeight: Float64Array }> {
  const union = keys
    .map(
      (columns) =>
        `select l.row as l, r.row as r from records l join records r on l.row < r.row and l.facility <> r.facility and ${columns.map((c) => `l.${c} = r.${c}`).join(' and ')}`,
    )
    .join(' union ');
  const { l, r } = await db.columns<{ l: Int32Array; r: Int32Array }>(`select * from (${union}) order by l, r`);
  return { left: l, right: r, matchWeight: new Float64Array(l.length) };
}
