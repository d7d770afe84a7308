import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { openRunLog } from '../../src/training/run-log.ts';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-runs-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const runs = (...words: string[]) => {
  const env = { ...process.env, CLINFUSE_RUNS: '' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'runs', ...words], { cwd: home, encoding: 'utf8', env });
  return { status, stdout, stderr };
};

const start = Date.UTC(2026, 10, 21, 12);
/** A run of ten steps in ten seconds. */
async function writeRun(
  folder: string,
  { name, id, rank, loss, hour }: { name: string; id: string; rank: string; loss: number; hour: number },
) {
  let now = start + 3_600_000 * hour;
  const log = openRunLog(join(home, folder), { name, experiment: 'medquad', id, clock: () => now });
  await log.params({ rank, learningRate: '0.0002' });
  for (let step = 1; step <= 10; step++) {
    now += 1000;
    await log.metrics([
      { step, key: 'loss', value: loss + 1 / step, time: now },
      { step, key: 'eval_loss', value: loss + 0.5 + Math.abs(step - 8) / 10, time: now },
    ]);
  }
  await log.finish('finished', {});
}

beforeAll(async () => {
  await writeRun('runs/first/log', { name: 'first', id: `aaaa${'0'.repeat(28)}`, rank: '8', loss: 2, hour: 0 });
  await writeRun('runs/second/log', { name: 'second', id: `bbbb${'0'.repeat(28)}`, rank: '16', loss: 1.5, hour: 1 });
  mkdirSync(join(home, 'runs', 'broken'));
  writeFileSync(join(home, 'runs', 'broken', 'events.jsonl'), 'no event\n');
});

describe('runs', () => {
  test('list: newest first, with the figures that tell them apart; a log that cannot be read is named', () => {
    const { status, stdout, stderr } = runs('list');
    expect(stdout.split('\n').slice(0, 3)).toEqual([
      'id        name    experiment  status    steps  last loss  best                  took  began',
      'bbbb0000  second  medquad     finished     10      1.600  eval_loss 2 at 8      10 s  2026-11-21 13:00',
      'aaaa0000  first   medquad     finished     10      2.100  eval_loss 2.500 at 8  10 s  2026-11-21 12:00',
    ]);
    expect(stderr).toMatch(/left out: tracking: not an event: .*broken\/events\.jsonl, line 1/);
    expect(status).toBe(0);
    const { runs: rows } = JSON.parse(runs('list', '--json', '--experiment', 'medquad').stdout);
    expect(rows[0]).toMatchObject({ name: 'second', durationMs: 10000, best: { metric: 'eval_loss', step: 8, value: 2 } });
    expect(runs('list', '--experiment', 'other').stdout).toBe('No runs below runs\n');
  });

  test.each(['runs/first', 'runs/first/log', 'first', 'aaaa', `aaaa${'0'.repeat(28)}`])('show finds a run by %s', (word) => {
    expect(JSON.parse(runs('show', word, '--json').stdout)).toMatchObject({ name: 'first', params: { rank: '8' }, events: 13 });
  });

  test('show tells settings and figures', () => {
    const { stdout } = runs('show', 'first');
    expect(stdout).toMatch(/^first \(aaaa0000\), experiment medquad: finished\nBegan 2026-11-21 12:00:00 UTC, took 10 s, 10 steps\n/);
    expect(stdout).toMatch(/\n {2}rank +8\n/);
    expect(stdout).toMatch(/\n {2}eval_loss +2\.700 +10 +2\.500 +8\n/);
  });

  test('compare: what differs, and figures side by side', () => {
    const { stdout } = runs('compare', 'first', 'second');
    expect(stdout).toMatch(/\nrank +8 +16\n\(alike: 1 settings\)\n/);
    expect(stdout).toMatch(/\nloss, last +2\.100 at 10 +1\.600 at 10\n/);
    expect(JSON.parse(runs('compare', 'first', 'second', '--json').stdout).params).toEqual([{ name: 'rank', values: ['8', '16'] }]);
  });

  test('plot: in the terminal, and as pictures', () => {
    const { stdout } = runs('plot', 'first', 'second', '--out', 'curves.svg');
    expect(stdout).toMatch(/^loss, first: 2\.100 at step 10\n/);
    expect(stdout).toMatch(/[\u2801-\u28ff]/);
    expect(readFileSync(join(home, 'curves.svg'), 'utf8')).toMatch(/^<svg.*Learning curves/s);
    expect(runs('plot', 'first', '--metric', 'eval_loss', '--out', 'one.png', '--quiet').status).toBe(0);
    expect(readFileSync(join(home, 'one.png')).subarray(1, 4).toString()).toBe('PNG');
  });

  test.each([
    { words: ['list', '--runs', 'nowhere'], says: 'runs: folder not found: nowhere' },
    { words: ['show', 'third'], says: 'runs: no run: third' },
    { words: ['show'], says: 'show: no run named' },
    { words: ['show', 'first', 'second'], says: 'show: more than one run' },
    { words: ['compare', 'first'], says: 'compare: fewer than two runs' },
    { words: ['plot', 'first', '--metric', 'f1'], says: 'plot: no metric: f1; there is: loss, eval_loss' },
    { words: ['plot', 'first', '--out', 'curve.gif'], says: 'plot: unknown kind of picture: curve.gif' },
    { words: ['show', 'runs/broken'], says: 'tracking: not an event' },
  ])('$words: one line, exit 2', ({ words, says }) => {
    const { status, stderr } = runs(...words);
    expect(stderr).toContain(says);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(status).toBe(2);
  });
});
