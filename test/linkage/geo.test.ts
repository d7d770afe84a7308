import { describe, expect, test } from 'vitest';

import { areNear, cosineBetween, leastCosine, type Points } from '../../src/linkage/geo.ts';

const kmOf = (cosine: number) => Math.fround(Math.acos(cosine) * 6371);
const radians = Math.PI / 180;
const points = (...places: readonly (readonly [number, number] | undefined)[]): Points => ({
  sin: Float64Array.from(places, (place) => (place ? Math.sin(place[0] * radians) : 2)),
  cos: Float64Array.from(places, (place) => (place ? Math.cos(place[0] * radians) : 0)),
  longitude: Float64Array.from(places, (place) => place?.[1] ?? 0),
  scale: 1,
  isSingle: false,
});

describe('distances', () => {
  test.each([0, 0.05, 1, 62, 150, 10_007.5, 20_015, 30_000])('%d km: the least cosine is within, the one below it is not', (km) => {
    const least = leastCosine(km);
    expect(kmOf(least)).toBeLessThanOrEqual(Math.fround(km));
    if (least > -1) expect(kmOf(least - 1e-15 * Math.max(0.2, Math.abs(least)))).toBeGreaterThan(Math.fround(km));
  });

  // Great circles on a sphere of 6371 km: one degree of latitude is 111.195 km.
  test.each([
    [[42.36, -71.06], [42.26, -71.8], 61.7, 62],
    [[0, 0], [1, 0], 111.1, 111.2],
    [[60, 0], [60, 1], 55.5, 55.7],
    [[0, 179.5], [0, -179.5], 111.1, 111.2],
    [[90, 0], [90, 123], 0, 0],
    [[51.5, 0], [-51.5, 180], 20_015, 20_016],
  ] as const)('%j to %j is between %d and %d km', (one, other, more, atMost) => {
    const two = points(one, other);
    const near = (km: number) => areNear(two, leastCosine(km), (left, right) => cosineBetween(two, left, right))(0, 1);
    expect(near(atMost)).toBe(true);
    if (more > 0) expect(near(more)).toBe(false);
  });

  test('a missing place is near to nothing and far from nothing', () => {
    const two = points([1, 1], undefined);
    expect(areNear(two, leastCosine(1), () => 1)(0, 1)).toBeUndefined();
    expect(areNear(two, leastCosine(1), () => 1)(1, 1)).toBeUndefined();
  });
});
