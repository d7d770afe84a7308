// Great-circle distance against a limit, deciding as Splink's SQL does.
//
//   km = 6371 acos(sin a sin b + cos a cos b cos(d))     a, b latitudes, d the difference of longitudes; km as a single-precision number
//
// Idea: sines and cosines of the latitudes are made once per record, by DuckDB. A limit in km is turned once into the least cosine that is
// within it, found by halving on the numbers the pair would be compared with, so a pair needs no acos; and as cos(d) <= 1, most pairs are
// too far by their latitudes and need no cosine either.
//
// Worked case: 1 km: cosine at least 0.99999998768; Boston (42.36, -71.06), Worcester (42.26, -71.80): 0.99995, 62 km.
// Cost: four array reads and two products; a cosine for pairs of near latitudes.

/** Places of records; `sin` is 2 where latitude or longitude is missing. Longitudes in units of 1/`scale` degrees. */
export type Points = {
  readonly sin: Float64Array;
  readonly cos: Float64Array;
  readonly longitude: Float64Array;
  readonly scale: number;
  /** Longitudes are subtracted in single precision. */
  readonly isSingle: boolean;
};

const earthRadiusKm = 6371;

/** The least cosine of an angle that is within so many km. */
export function leastCosine(atMostKm: number): number {
  const limit = Math.fround(atMostKm);
  const isWithin = (cosine: number) => Math.fround(Math.acos(cosine) * earthRadiusKm) <= limit;
  if (isWithin(-1)) return -1;
  let [out, within] = [-1, 1];
  for (let middle = 0; middle > out && middle < within; middle = out + (within - out) / 2) {
    if (isWithin(middle)) within = middle;
    else out = middle;
  }
  return within;
}

/** Cosine of the angle between two places that are not missing; rounding may lift it above 1. */
export function cosineBetween({ sin, cos, longitude, scale, isSingle }: Points, left: number, right: number): number {
  const gap = longitude[right]! - longitude[left]!;
  const radians = (isSingle ? Math.fround(gap) : gap / scale) * (Math.PI / 180);
  return sin[left]! * sin[right]! + cos[left]! * cos[right]! * Math.cos(radians);
}

/** Says whether two places are that near; undefined where one is missing. `between` is `cosineBetween` of the points. */
export function areNear(
  { sin, cos }: Points,
  least: number,
  between: (left: number, right: number) => number,
): (left: number, right: number) => boolean | undefined {
  return (left, right) => {
    const sinLeft = sin[left]!;
    const sinRight = sin[right]!;
    if (sinLeft === 2 || sinRight === 2) return undefined;
    if (sinLeft * sinRight + Math.abs(cos[left]! * cos[right]!) < least) return false;
    // DuckDB holds NaN for more than 1, and Splink's SQL then takes 1.
    return !(between(left, right) < least);
  };
}
