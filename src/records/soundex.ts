// American Soundex: how a surname sounds, in one letter and three digits.
// Keep the first letter; code the others (BFPV 1, CGJKQSXZ 2, DT 3, L 4, MN 5, R 6); a letter with the code of the one before it adds
// nothing. A vowel (or Y) between the two separates them, H and W do not. Cut or fill with 0 to four characters.
//   Robert, Rupert -> R163    Ashcraft -> A261 (S and C meet across the H)    Tymczak -> T522    Pfister -> P236
// Source: U.S. National Archives, "The Soundex Indexing System".

const codes: Readonly<Record<string, string>> = Object.fromEntries(
  ['BFPV', 'CGJKQSXZ', 'DT', 'L', 'MN', 'R'].flatMap((letters, i) => [...letters].map((letter) => [letter, String(i + 1)])),
);

/**
 * The Soundex code of a name; whatever is no letter A-Z is passed over. Empty text when there is no letter at all.
 *
 * @example soundex('Robert') // 'R163'
 */
export function soundex(name: string): string {
  const letters = name.toUpperCase().replace(/[^A-Z]/g, '');
  if (letters === '') return '';
  let code = letters[0]!;
  let previous = codes[code] ?? '';
  for (const letter of letters.slice(1)) {
    if (letter === 'H' || letter === 'W') continue;
    const digit = codes[letter] ?? '';
    if (digit !== '' && digit !== previous) code += digit;
    previous = digit;
    if (code.length === 4) break;
  }
  return code.padEnd(4, '0');
}

// Short forms and the name they most often stand for. The pairs are the reference's; two short forms of several names keep one.
const fullNames: ReadonlyMap<string, string> = new Map(
  (
    'BILL WILLIAM, BOB ROBERT, DICK RICHARD, JIM JAMES, JACK JOHN, MIKE MICHAEL, DAVE DAVID, JOE JOSEPH, TOM THOMAS, CHUCK CHARLES, ' +
    'CHRIS CHRISTOPHER, DAN DANIEL, MATT MATTHEW, TONY ANTHONY, DON DONALD, KEN KENNETH, STEVE STEVEN, ED EDWARD, TIM TIMOTHY, ' +
    'JEFF JEFFREY, NICK NICHOLAS, JON JONATHAN, BEN BENJAMIN, SAM SAMUEL, ALEX ALEXANDER, ANDY ANDREW, JOSH JOSHUA, LIZ ELIZABETH, ' +
    'PAT PATRICIA, JENNY JENNIFER, LYNN LINDA, BARB BARBARA, SUE SUSAN, JESS JESSICA, PEGGY MARGARET, SALLY SARAH, KIM KIMBERLY, ' +
    'DEB DEBORAH, BECKY REBECCA, STEPH STEPHANIE, CATHY CATHERINE, MANDY AMANDA, MEL MELISSA, SHELLY MICHELLE, KATHY KATHLEEN, DOT DOROTHY'
  )
    .split(', ')
    .map((pair) => pair.split(' ') as [string, string]),
);

/** The full name behind a nickname, upper case; any other name only upper-cased. */
export function fullName(name: string): string {
  const upper = name.toUpperCase();
  return fullNames.get(upper) ?? upper;
}
