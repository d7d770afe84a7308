import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

// The command as it is installed, not src/cli/main.ts: so that the launcher is tested too.
const launcher = resolve(import.meta.dirname, '../../bin/clinfuse');
let home: string;
beforeEach(() => void (home = mkdtempSync(join(tmpdir(), 'clinfuse-registry-'))));
afterEach(() => rmSync(home, { recursive: true, force: true }));

function clinfuse(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...words], { cwd: home, encoding: 'utf8' });
  return { status, stdout, stderr };
}

function promote(figures: object, ...more: string[]) {
  writeFileSync(join(home, 'metrics.json'), JSON.stringify(figures));
  return clinfuse(
    'registry',
    'promote',
    '--name',
    'm',
    '--candidate',
    'model.bin',
    '--metrics',
    'metrics.json',
    '--out',
    'decision.json',
    ...more,
  );
}

describe('clinfuse registry', () => {
  test('promote, list and show: a worse model is registered, not promoted, and exit is 0 either way', () => {
    writeFileSync(join(home, 'model.bin'), 'good');
    writeFileSync(join(home, 'a.csv'), 'id,label,prediction\n1,1,1\n2,0,0\n3,1,1\n4,0,1\n');
    writeFileSync(join(home, 'b.jsonl'), [1, 2, 3, 4].map((id) => `${JSON.stringify({ id, label: id % 2, prediction: 0 })}\n`).join(''));
    const first = promote({ eval_f1: 0.8, epochs: 3, dataset: 'd' }, '--predictions', 'a.csv', '--run', 'r1');
    expect(first).toEqual({ status: 0, stdout: 'm version 1 is the champion: eval_f1 0.8, the first champion\n', stderr: '' });
    writeFileSync(join(home, 'model.bin'), 'worse');
    const second = promote({ eval_f1: 0.5, dataset: 'd' }, '--predictions', 'b.jsonl');
    expect(second.status).toBe(0);
    expect(second.stdout).toContain('m version 2 is not promoted: eval_f1 0.5 is worse than version 1’s 0.8; of 4 answers 1 right where');
    const decision = JSON.parse(readFileSync(join(home, 'decision.json'), 'utf8'));
    expect(decision).toMatchObject({ promoted: false, challenger_f1: 0.5, champion_f1: 0.8, model_version: 2, champion_version: 1 });
    expect(decision.paired_test).toEqual({ examples: 4, onlyChallengerRight: 1, onlyChampionRight: 2, pValue: 1 });
    expect(clinfuse('registry', 'list').stdout).toMatch(/^m\n \* {3}1 .* f1 0\.8\n {5}2 .* f1 0\.5\n\* champion\n$/);
    const shown = JSON.parse(clinfuse('registry', 'show', 'm', '--json').stdout);
    expect(shown).toMatchObject({ version: 1, isChampion: true, dataset: 'd', run: 'r1', figures: { eval_f1: 0.8 } });
    expect(readFileSync(join(home, shown.path), 'utf8')).toBe('good');
  });

  test('figures without eval_ are taken as evaluation figures; data may be named by its place', () => {
    writeFileSync(join(home, 'model.bin'), 'x');
    expect(promote({ loss: 2, rows: 10, dataset: null }, '--metric', 'loss', '--dataset', 'model.bin').status).toBe(0);
    const { dataset, figures } = JSON.parse(clinfuse('registry', 'show', 'm', '--json').stdout);
    expect({ figures, isHash: /^[0-9a-f]{64}$/.test(dataset) }).toEqual({ figures: { eval_loss: 2, eval_rows: 10 }, isHash: true });
    // More of a loss is worse; on other data nothing is compared, unless asked for.
    writeFileSync(join(home, 'model.bin'), 'y');
    expect(promote({ loss: 1 }, '--metric', 'loss', '--dataset', 'metrics.json').stdout).toContain('figures are not comparable');
    expect(promote({ loss: 1 }, '--metric', 'loss', '--dataset', 'metrics.json', '--across-data').stdout).toContain(
      'version 2 is the champion',
    );
  });

  test.each([
    [['registry', 'show', 'm'], 'registry: m has no champion in models-registry; see clinfuse registry list'],
    [['registry', 'show'], '<model>: name a model'],
    [['registry', 'show', 'm', '--number', '3'], 'registry: no version 3 of m in models-registry; there are: none'],
    [
      ['registry', 'promote', '--name', 'm', '--candidate', 'x', '--metrics', 'none.json', '--out', 'd.json'],
      'promotion: file not found: none.json',
    ],
    [
      ['registry', 'promote', '--name', 'm', '--candidate', 'x', '--metrics', 'y', '--out', 'd', '--higher-is-better', 'perhaps'],
      'not true or false',
    ],
  ])('%j is the user’s mistake: exit 2 and one line', (words, message) => {
    const { status, stdout, stderr } = clinfuse(...words);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  test('predictions that say neither what was right nor which row are refused, and nothing is registered', () => {
    writeFileSync(join(home, 'model.bin'), 'x');
    writeFileSync(join(home, 'q.csv'), 'label,prediction\n1,1\n');
    const { status, stderr } = promote({ eval_f1: 0.6 }, '--predictions', 'q.csv');
    expect({ status, registered: existsSync(join(home, 'models-registry')) }).toEqual({ status: 2, registered: false });
    expect(stderr).toMatch(/predictions: no column id in .*; it has: label, prediction/);
  });
});
