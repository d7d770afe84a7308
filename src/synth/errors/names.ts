// Damage to names: nicknames, typing slips on a QWERTY keyboard, the maiden name in place of the family name.

import type { Random } from '../../base/random.ts';
import { type ErrorClass, isBlank } from './error-class.ts';

/** Common English short forms, `FULL SHORT` pairs. */
const nicknames = new Map(
  (
    'WILLIAM BILL, ROBERT BOB, RICHARD DICK, JAMES JIM, JOHN JACK, MICHAEL MIKE, DAVID DAVE, JOSEPH JOE, THOMAS TOM, CHARLES CHUCK, ' +
    'CHRISTOPHER CHRIS, DANIEL DAN, MATTHEW MATT, ANTHONY TONY, DONALD DON, KENNETH KEN, STEVEN STEVE, EDWARD ED, TIMOTHY TIM, ' +
    'JEFFREY JEFF, NICHOLAS NICK, JONATHAN JON, BENJAMIN BEN, SAMUEL SAM, ALEXANDER ALEX, ANDREW ANDY, JOSHUA JOSH, ELIZABETH LIZ, ' +
    'PATRICIA PAT, JENNIFER JENNY, LINDA LYNN, BARBARA BARB, SUSAN SUE, JESSICA JESS, MARGARET PEGGY, SARAH SALLY, KIMBERLY KIM, ' +
    'DEBORAH DEB, REBECCA BECKY, STEPHANIE STEPH, CATHERINE CATHY, CHRISTINE CHRIS, SAMANTHA SAM, AMANDA MANDY, MELISSA MEL, ' +
    'MICHELLE SHELLY, KATHLEEN KATHY, DOROTHY DOT'
  )
    .split(', ')
    .map((pair) => pair.split(' ') as [string, string]),
);

/** Keys that touch a key. */
const neighbours = new Map(
  (
    'Q WA, W QES, E WRD, R ETF, T RYG, Y TUH, U YIJ, I UOK, O IPL, P OL, A QSZ, S WADZX, D ESFXC, F RDGCV, G FHTVB, H YGJBN, J UHKNM, ' +
    'K IJLM, L OKP, Z ASX, X SDZC, C DFXV, V FGCB, B GHVN, N HJBM, M JKN'
  )
    .split(', ')
    .map((pair) => pair.split(' ') as [string, string]),
);

const keys = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'];

/** One wrong key: half the time a neighbouring one in the same case, else any letter or digit. */
function slip(letters: string[], at: number, stream: Random): void {
  const letter = letters[at]!;
  if (stream.float() < 0.5) {
    const near = neighbours.get(letter.toUpperCase());
    if (near === undefined) return;
    const typed = stream.pick([...near]);
    letters[at] = letter === letter.toUpperCase() ? typed : typed.toLowerCase();
  } else {
    letters[at] = stream.pick(keys.filter((key) => key !== letter));
  }
}

export const nameErrors: readonly ErrorClass[] = [
  {
    name: 'nickname_substitution',
    fields: ['FIRST'],
    apply: (value) => nicknames.get(value.toUpperCase().replace(/[0-9]/g, '')) ?? value,
  },
  {
    name: 'name_typo',
    fields: ['FIRST', 'LAST', 'MAIDEN'],
    apply: (value, stream) => {
      const letters = [...value];
      if (letters.length < 2) return value;
      slip(letters, stream.integer(1, letters.length - 1), stream);
      return letters.join('');
    },
  },
  {
    name: 'maiden_name_usage',
    fields: ['LAST'],
    apply: (value, _stream, row) => (isBlank(row.MAIDEN) ? value : row.MAIDEN),
  },
  {
    name: 'multi_character_name_typo',
    fields: ['FIRST', 'LAST'],
    apply: (value, stream) => {
      const letters = [...value];
      if (letters.length < 4) return value;
      const places = Array.from({ length: letters.length - 1 }, (_, i) => i + 1);
      const wrong = stream.integer(2, 3);
      for (const at of stream.shuffle(places).slice(0, wrong)) slip(letters, at, stream);
      return letters.join('');
    },
  },
];
