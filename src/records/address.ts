// One spelling per address, so that "12 Oak Street Apt. 4", "12 OAK ST #4" and "12 oak st. unit 4" are equal before anything is compared.
// Lower case, accents off, punctuation out, single spaces; street types and directions in their postal short form wherever they stand;
// any word for a part of a building ("apt", "suite", "#", "no." before a number) becomes "unit".
//   "672 Wiegand Grove, Suite 52" -> "672 wiegand grv unit 52"      "N.W. 3rd Avenue" -> "nw 3rd ave"
// A word is shortened the same way in a street's name as in its type ("Court Street" -> "ct st"): only equality matters here.

const streetTypes =
  'aly alley ally, arc arcade, ave avenue av aven avn avnue, bnd bend, blvd boulevard blv boul boulv, br branch, brg bridge, brk brook, byp bypass, ' +
  'byu bayou, bch beach, blf bluff, bg burg, cp camp, cyn canyon, cpe cape, cswy causeway, ctr center centre cntr cent, cir circle circ crcl, clf cliff, ' +
  'clb club, cmn common, cor corner, cors corners, crse course, ct court crt, cts courts, cv cove, crk creek, cres crescent, xing crossing, ' +
  'xrd crossroad, curv curve, dl dale, dm dam, dr drive driv drv, est estate, ests estates, expy expressway expr, ext extension, fls falls, ' +
  'fry ferry, fld field, flds fields, flt flat, flts flats, frd ford, frst forest, frg forge, frk fork, frks forks, ft fort, fwy freeway, ' +
  'gdn garden, gdns gardens, gtwy gateway, gln glen, grn green, grv grove, hbr harbor harbour, hvn haven, hts heights, hwy highway, hl hill, ' +
  'hls hills, holw hollow, inlt inlet, is island, iss islands, jct junction, ky key, knl knoll, knls knolls, lk lake, lks lakes, lndg landing, ' +
  'ln lane, lgt light, lf loaf, lck lock, ldg lodge, loop loops, mnr manor, mdw meadow, mdws meadows, ml mill, mls mills, msn mission, ' +
  'mt mount, mtn mountain, nck neck, orch orchard, oval ovl, pkwy parkway pky pkway parkwy, pass passage, path paths, pne pine, pnes pines, ' +
  'pl place plc, pln plain, plns plains, plz plaza, pt point, pts points, prt port, pr prairie, radl radial, rnch ranch, rpd rapid, rpds rapids, ' +
  'rst rest, rdg ridge, riv river, rd road, rds roads, rte route, shl shoal, shr shore, shrs shores, skwy skyway, spg spring, spgs springs, ' +
  'sq square, sta station, stra stravenue, strm stream, st street str strt saint, smt summit, ter terrace terr, trwy throughway, trce trace, ' +
  'trak track, trl trail, trlr trailer, tunl tunnel, tpke turnpike, upas underpass, un union, vly valley, via viaduct, vw view, vws views, ' +
  'vlg village, vl ville, vis vista, walk walks, wy way, wl well, wls wells';

const directions = 'n north, s south, e east, w west, ne northeast, nw northwest, se southeast, sw southwest';

const shortForms: ReadonlyMap<string, string> = new Map(
  `${streetTypes}, ${directions}`.split(', ').flatMap((entry) => {
    const [short, ...longs] = entry.split(' ');
    return longs.map((long) => [long, short!] as const);
  }),
);

const unitWords: ReadonlySet<string> = new Set(['apt', 'apartment', 'unit', 'suite', 'ste', 'room', 'rm', '#']);

/**
 * The canonical form of a street address; empty text when nothing is left of it.
 *
 * @example canonicalAddress('12 OAK STREET, APT. 4') // '12 oak st unit 4'
 */
export function canonicalAddress(address: string): string {
  const words = plainWords(address.replace(/#/g, ' # '))
    // "apt4" and "unit12": the injector and many forms leave out the space.
    .flatMap((word) => /^(apt|apartment|unit|suite|ste|no)(\d\w*)$/.exec(word)?.slice(1) ?? [word]);
  const out: string[] = [];
  words.forEach((word, i) => {
    const next = words[i + 1] ?? '';
    const isUnit = unitWords.has(word) || ((word === 'no' || word === 'number') && /^\d/.test(next));
    if (!isUnit) out.push(shortForms.get(word) ?? word);
    else if (out.at(-1) !== 'unit') out.push('unit');
  });
  return out.join(' ');
}

/**
 * The canonical form of a city's name; empty text when nothing is left of it.
 *
 * @example canonicalCity('SAINT-LOUIS ') // 'st louis'
 */
export function canonicalCity(city: string): string {
  const words = plainWords(city);
  return words.map((word) => ({ saint: 'st', mount: 'mt', fort: 'ft' })[word] ?? word).join(' ');
}

/** Lower-case words without accents: full stops and apostrophes vanish, any other punctuation parts words. */
function plainWords(text: string): string[] {
  return text
    .normalize('NFKD')
    .replace(/[\p{M}.'’]/gu, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}#]+/gu, ' ')
    .split(' ')
    .filter((word) => word !== '');
}
