import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { judge, type PromoteOptions, promote } from '../../src/training/promotion.ts';
import { readAlias, readVersions } from '../../src/training/registry.ts';

const time = new Date('2026-01-02T03:04:05Z');
const contestant = (version: number, figure: number | undefined, dataset: string | null = 'same') => ({
  version,
  dataset,
  figures: (figure === undefined ? {} : { eval_f1: figure }) as Record<string, number>,
});

describe('the rule', () => {
  test.each([
    { name: 'the first is the champion', ours: 0.1, champion: undefined, promoted: true, reason: 'the first champion' },
    {
      name: 'a better one takes the place',
      ours: 0.9,
      champion: contestant(1, 0.8),
      promoted: true,
      reason: 'better than version 1’s 0.8',
    },
    { name: 'a tie is enough', ours: 0.8, champion: contestant(1, 0.8), promoted: true, reason: 'as good as' },
    { name: 'a worse one does not', ours: 0.7999999, champion: contestant(1, 0.8), promoted: false, reason: 'worse than' },
    { name: 'a missing figure counts as 0', ours: 0, champion: contestant(1, undefined), promoted: true, reason: 'counts as the worst' },
    {
      name: 'a figure below 0 is worse than a missing one',
      ours: -1,
      champion: contestant(1, undefined),
      promoted: false,
      reason: 'worse',
    },
    { name: 'no number is never promoted', ours: Number.NaN, champion: undefined, promoted: false, reason: 'not a number' },
    { name: 'the champion stays the champion', ours: 0.9, champion: contestant(2, 0.9), promoted: true, reason: 'the champion already' },
    { name: 'other data is not compared', ours: 0.9, champion: contestant(1, 0.8, 'other'), promoted: false, reason: 'not comparable' },
    {
      name: 'unless asked to',
      ours: 0.9,
      champion: contestant(1, 0.8, 'other'),
      acrossData: true,
      promoted: true,
      reason: 'on different data',
    },
    {
      name: 'data that is not named',
      ours: 0.9,
      champion: contestant(1, 0.8, null),
      promoted: true,
      reason: 'not said whether on the same data',
    },
    { name: 'less is better', ours: 0.7, champion: contestant(1, 0.8), higherIsBetter: false, promoted: true, reason: 'better than' },
    { name: 'more is worse', ours: 0.9, champion: contestant(1, 0.8), higherIsBetter: false, promoted: false, reason: 'worse than' },
    {
      name: 'missing, and less is better',
      ours: 9,
      champion: contestant(1, undefined),
      higherIsBetter: false,
      promoted: true,
      reason: 'Infinity',
    },
  ])('$name', ({ ours, champion, promoted, reason, acrossData = false, higherIsBetter = true }) => {
    const verdict = judge({ challenger: contestant(2, ours), champion, figure: 'eval_f1', higherIsBetter, acrossData });
    expect(verdict).toEqual({ promoted, reason: expect.stringContaining(reason) });
  });
});

describe('promotion', () => {
  let home: string;
  beforeEach(() => void (home = mkdtempSync(join(tmpdir(), 'clinfuse-promotion-'))));
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  function options(content: string, figures: Readonly<Record<string, number>>, more: Partial<PromoteOptions> = {}): PromoteOptions {
    const candidate = join(home, 'adapter');
    mkdirSync(candidate, { recursive: true });
    writeFileSync(join(candidate, 'weights'), content);
    return { registry: join(home, 'registry'), name: 'classifier', candidate, figures, metric: 'f1', time, ...more };
  }
  const champion = () => readAlias(join(home, 'registry'), 'classifier', 'champion').version;

  test('three challengers: the first is promoted, a worse one is registered and not promoted, a better one is', async () => {
    const first = await promote(options('a', { eval_f1: 0.8, eval_loss: 2 }));
    expect(first).toMatchObject({ promoted: true, challenger_f1: 0.8, champion_f1: null, model_version: 1, champion_version: null });
    const worse = await promote(options('b', { eval_f1: 0.7 }));
    expect(worse).toMatchObject({ promoted: false, challenger_f1: 0.7, champion_f1: 0.8, model_version: 2, champion_version: 1 });
    expect(champion()).toBe(1);
    const better = await promote(options('c', { eval_f1: 0.9 }));
    expect(better).toMatchObject({ promoted: true, model_version: 3, champion_version: 1 });
    expect(champion()).toBe(3);
    expect(readVersions(join(home, 'registry'), 'classifier').map(({ version, figures }) => [version, figures])).toEqual([
      [1, { eval_f1: 0.8, eval_loss: 2 }],
      [2, { eval_f1: 0.7 }],
      [3, { eval_f1: 0.9 }],
    ]);
  });

  test('the decision of another metric names it, and has the reference’s keys all the same', async () => {
    await promote(options('a', { eval_loss: 2, eval_f1: 0.5 }, { metric: 'loss' }));
    const decision = await promote(options('b', { eval_loss: 1 }, { metric: 'eval_loss' }));
    expect(decision).toMatchObject({
      promoted: true,
      challenger_f1: null,
      champion_f1: 0.5,
      metric: 'loss',
      higher_is_better: false,
      challenger: 1,
      champion: 2,
      time: '2026-01-02T03:04:05.000Z',
    });
  });

  test('a stage that is run again registers nothing anew and comes to the same decision', async () => {
    const first = await promote(options('a', { eval_f1: 0.8 }));
    const again = await promote(options('a', { eval_f1: 0.8 }));
    expect(again).toMatchObject({ promoted: true, model_version: 1, champion_version: 1, challenger_sha256: first.challenger_sha256 });
    expect(readAlias(join(home, 'registry'), 'classifier', 'champion').moves).toBe(1);
  });

  test('a figure that was not measured is the user’s mistake, and nothing is registered', async () => {
    await expect(promote(options('a', { eval_loss: 2 }))).rejects.toThrow('promotion: no figure eval_f1; there are: eval_loss');
    expect(readVersions(join(home, 'registry'), 'classifier')).toEqual([]);
  });

  test('challengers that arrive at once all get a number, and the best of them is the champion', async () => {
    const figures = [0.3, 0.9, 0.5, 0.7, 0.1, 0.8];
    const decisions = await Promise.all(
      figures.map((f1) => {
        const candidate = join(home, `candidate-${f1}`);
        writeFileSync(candidate, String(f1));
        return promote({ ...options('x', { eval_f1: f1 }), candidate });
      }),
    );
    expect(decisions.map(({ model_version: version }) => version).sort()).toEqual([1, 2, 3, 4, 5, 6]);
    const versions = readVersions(join(home, 'registry'), 'classifier');
    expect(versions.find(({ version }) => version === champion())!.figures['eval_f1']).toBe(0.9);
  });

  test('the answers of both, one by one, are told and decide nothing', async () => {
    await promote(options('a', { eval_f1: 0.8 }));
    const compare = async () => ({ examples: 100, onlyChallengerRight: 1, onlyChampionRight: 8, pValue: 0.039 });
    const decision = await promote(options('b', { eval_f1: 0.81 }, { compare }));
    expect(decision.promoted).toBe(true);
    expect(decision.paired_test?.pValue).toBe(0.039);
    expect(decision.reason).toContain('of 100 answers 1 right where the champion is wrong, 8 the other way round');
  });
});
