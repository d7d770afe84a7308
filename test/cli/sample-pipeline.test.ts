import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-sample-'));
const folder = join(home, 'pipeline');
cpSync(join(root, 'examples', 'pipeline'), folder, { recursive: true, filter: (path) => !/output$|dvc\.lock$/.test(path) });
cpSync(join(root, 'examples', 'data'), join(home, 'data'), { recursive: true });
afterAll(() => rmSync(home, { recursive: true, force: true }));

function repro() {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'bin', 'clinfuse'), 'repro', '--cwd', folder], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return stdout.trim().split('\n').at(-1);
}

describe('examples/pipeline', () => {
  test('runs on the sample, then not again; a changed value runs what it touches, and changed back it is restored', {
    timeout: 240_000,
  }, () => {
    expect(repro()).toBe('5 stages: 5 ran');
    const { pairwise } = JSON.parse(readFileSync(join(folder, 'output/golden_records/evaluation_metrics.json'), 'utf8'));
    expect(pairwise.f1).toBeGreaterThan(0.98);
    expect(readFileSync(join(folder, 'output/report/report.html'), 'utf8')).toContain('<svg');
    expect(repro()).toBe('up to date');
    const params = join(folder, 'params.yaml');
    const text = readFileSync(params, 'utf8');
    writeFileSync(params, text.replace('most_frequent', 'most_recent'));
    expect(repro()).toMatch(/^5 stages: 2 up to date, [23] ran/);
    writeFileSync(params, text);
    expect(repro()).toMatch(/^5 stages: 2 up to date, [23] restored/);
  });
});
