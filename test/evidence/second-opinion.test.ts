import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';
import { sigmoid } from '../../src/base/statistics.ts';
import { expectedGain, fitSecondOpinion, joinOpinions, type Opinions, type SecondOpinion } from '../../src/evidence/second-opinion.ts';

const opinion: SecondOpinion = {
  intercept: 0,
  first: 1,
  second: 1,
  match: { mean: 2, deviation: 1 },
  other: { mean: -2, deviation: 1 },
  pairs: 100,
};

/** Pairs whose two opinions are normal given the class: log-likelihood ratio 2 m x / s^2 of each, apart from what they share. */
function made(count: number, { shared }: { readonly shared: number }): Opinions {
  const draw = random(11, 'opinions', shared);
  const normal = () => Math.sqrt(-2 * Math.log(1 - draw.float())) * Math.cos(2 * Math.PI * draw.float());
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 2);
  const noise = Array.from({ length: count }, normal);
  const seen = (label: number, i: number) => (label === 1 ? 1 : -1) + shared * noise[i]! + Math.sqrt(1 - shared * shared) * normal();
  return {
    first: Float64Array.from(labels, (label, i) => 2 * seen(label, i)),
    second: Float64Array.from(labels, (label, i) => 2 * seen(label, i)),
    labels,
  };
}

describe('two opinions joined', () => {
  test.each([
    { shared: 0, first: 1, second: 1, name: 'apart from each other are added up' },
    { shared: 0.9, first: 1 / 1.81, second: 1 / 1.81, name: 'that see nearly the same count half each' },
  ])('$name', ({ shared, first, second }) => {
    const fitted = fitSecondOpinion(made(20_000, { shared }));
    expect(fitted.intercept).toBeCloseTo(0, 1);
    expect(fitted.first).toBeCloseTo(first, 1);
    expect(fitted.second).toBeCloseTo(second, 1);
    expect(fitted.match.mean).toBeCloseTo(2, 1);
    expect(fitted.other.mean).toBeCloseTo(-2, 1);
    expect(fitted.match.deviation).toBeCloseTo(2, 1);
  });

  test('an opinion of noise is not listened to', () => {
    const { first, labels } = made(20_000, { shared: 0 });
    const draw = random(3, 'noise');
    const fitted = fitSecondOpinion({ first, labels, second: first.map(() => 4 * draw.float() - 2) });
    expect([fitted.intercept, fitted.first, fitted.second]).toEqual([0, 1, 0]);
    expect(joinOpinions(fitted, 1.5, 2)).toBe(1.5);
    for (const total of [-3, -0.1, 0, 0.4, 5]) expect(expectedGain(fitted, { total, e: 0.3 })).toBeCloseTo(0, 12);
  });

  test('one that says the same as the first is not listened to either', () => {
    const { first, labels } = made(2000, { shared: 0 });
    expect(fitSecondOpinion({ first, labels, second: first })).toMatchObject({ intercept: 0, first: 1, second: 0 });
  });

  test('few pairs leave the first opinion as it is', () => {
    const fitted = fitSecondOpinion({ first: Float64Array.of(0.1, -0.1), second: Float64Array.of(0.1, -0.1), labels: Uint8Array.of(1, 0) });
    expect(Math.abs(fitted.first - 1)).toBeLessThan(0.1);
    expect(Math.abs(fitted.second)).toBeLessThan(0.1);
  });
});

describe('what asking is worth', () => {
  test.each([
    { total: 0, e: 0, gain: 0.47725 },
    { total: 10, e: 0, gain: 0 },
    { total: -10, e: 0, gain: 0 },
    { total: 1, e: 0, gain: 0.26894 - 0.73106 * 0.00135 - 0.26894 * 0.15866 },
  ])('a pair at $total: $gain decisions', ({ total, e, gain }) => {
    expect(expectedGain(opinion, { total, e })).toBeCloseTo(gain, 4);
  });

  test('agrees with a count over drawn answers', () => {
    const draw = random(5, 'answers');
    const normal = () => Math.sqrt(-2 * Math.log(1 - draw.float())) * Math.cos(2 * Math.PI * draw.float());
    const [total, e] = [0.7, 1.2];
    const fitted: SecondOpinion = { ...opinion, intercept: 0.2, first: 0.6, second: 0.5 };
    const p = sigmoid(total);
    let wrong = 0;
    const times = 200_000;
    for (let i = 0; i < times; i++) {
      const isMatch = draw.float() < p;
      const { mean, deviation } = isMatch ? fitted.match : fitted.other;
      const after = total - e + joinOpinions(fitted, e, mean + deviation * normal());
      wrong += Number(after > 0 !== isMatch);
    }
    expect(expectedGain(fitted, { total, e })).toBeCloseTo(1 - p - wrong / times, 2);
  });

  test('is the same for a pair and its mirror', () => {
    fc.assert(
      fc.property(fc.double({ min: -8, max: 8, noNaN: true }), (total) => {
        expect(expectedGain(opinion, { total, e: 0 })).toBeCloseTo(expectedGain(opinion, { total: -total, e: 0 }), 6);
      }),
    );
  });
});
