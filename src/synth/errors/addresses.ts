// Damage to addresses: street words abbreviated or spelled out, apartment numbers written another way, another address altogether.

import type { ErrorClass } from './error-class.ts';

/** Full word first, then its short forms; searched in this order. */
const streetWords = (
  'STREET ST ST. STR; AVENUE AVE AVE. AV; ROAD RD RD.; DRIVE DR DR.; LANE LN LN.; COURT CT CT.; PLACE PL PL.; BOULEVARD BLVD BLVD. BLV; ' +
  'PARKWAY PKWY PKWY. PKY; CIRCLE CIR CIR.; TERRACE TER TER. TERR; APARTMENT APT APT. # UNIT'
)
  .split('; ')
  .map((line) => line.split(' '));

const apartmentStyles: readonly ((number: string) => string)[] = [
  (number) => `APARTMENT ${number}`,
  (number) => `APT ${number}`,
  (number) => `APT. ${number}`,
  (number) => `UNIT ${number}`,
  (number) => `#${number}`,
  (number) => `NO. ${number}`,
];

/** Pattern, and which style is its own and so is not chosen again (APT and APT. share a pattern: any may follow). */
const apartmentPatterns: readonly { readonly pattern: RegExp; readonly own?: number }[] = [
  { pattern: /APT\.?\s*(\d+)/ },
  { pattern: /APARTMENT\s*(\d+)/, own: 0 },
  { pattern: /UNIT\s*(\d+)/, own: 3 },
  { pattern: /#(\d+)/, own: 4 },
];

const streetNames =
  'OAK MAPLE CEDAR ELM PINE WALNUT BIRCH WILLOW CHERRY SPRUCE HIGHLAND WASHINGTON LINCOLN PARK LAKE RIVER HILL MEADOW FOREST SPRING'.split(
    ' ',
  );
const streetTypes = 'STREET AVENUE DRIVE ROAD LANE COURT PLACE BOULEVARD WAY CIRCLE'.split(' ');

export const addressErrors: readonly ErrorClass[] = [
  {
    name: 'address_abbreviation',
    fields: ['ADDRESS'],
    apply: (value, stream) => {
      const upper = value.toUpperCase();
      for (const [full, ...short] of streetWords) {
        if (upper.includes(full!)) return upper.replaceAll(full!, stream.pick(short));
        const found = short.find((one) => upper.includes(one));
        if (found === undefined) continue;
        const other = stream.float() < 0.5 ? full! : stream.pick(short.filter((one) => one !== found));
        return upper.replaceAll(found, other);
      }
      return value;
    },
  },
  {
    name: 'apartment_format_variation',
    fields: ['ADDRESS'],
    apply: (value, stream) => {
      const upper = value.toUpperCase();
      for (const { pattern, own } of apartmentPatterns) {
        const number = pattern.exec(upper)?.[1];
        if (number === undefined) continue;
        const style = stream.pick(apartmentStyles.filter((_, i) => i !== own));
        return upper.replace(pattern, () => style(number));
      }
      return upper;
    },
  },
  {
    name: 'full_address_change',
    fields: ['ADDRESS'],
    apply: (value, stream) => {
      const invent = () => `${stream.integer(1, 9998)} ${stream.pick(streetNames)} ${stream.pick(streetTypes)}`;
      const invented = invent();
      return invented === value ? invent() : invented;
    },
  },
];
