import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-figures-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const run = (...words: string[]) => spawnSync(process.execPath, [main, ...words], { cwd: home, encoding: 'utf8' });
const git = (...words: string[]) =>
  spawnSync('git', ['-C', home, '-c', 'user.name=a', '-c', 'user.email=a@b', ...words], { encoding: 'utf8' });
const write = (name: string, text: string) => writeFileSync(join(home, 'run', name), text);

beforeAll(() => {
  mkdirSync(join(home, 'run', 'curves'), { recursive: true });
  write(
    'dvc.yaml',
    `stages:
  train:
    cmd: train
    metrics: [m.json: {cache: false}, later.json: {cache: false}]
    plots: [curves, cm.csv: {template: confusion, x: actual, y: predicted}]
plots: [later.csv]
`,
  );
  write('params.yaml', 'lr: 0.1\nlayers: [1, 2]\n');
  write('m.json', '{"f1": 0.9, "n": 10}');
  git('init', '-q', '.');
  git('add', '-A');
  git('commit', '-qm', 'first');
  write('params.yaml', 'lr: 0.2\nlayers: [1, 2]\nseed: 1.0\n');
  write('m.json', '{"f1": 0.9512345678, "n": 12}');
  write('curves/loss.csv', 'step,loss\n0,1.5\n1,0.5\n');
  write('curves/shape.svg', '<svg xmlns="http://www.w3.org/2000/svg"/>');
  write('cm.csv', 'actual,predicted\ncat,cat\ncat,dog\ndog,dog\n');
});

describe('params, metrics and plots of a pipeline', () => {
  test('params diff: what changed since the last commit', () => {
    const { status, stdout } = run('params', 'diff', '--cwd', 'run');
    expect(stdout.trimEnd().split('\n')).toEqual([
      'Path         Param  HEAD  now',
      'params.yaml  lr     0.1   0.2',
      'params.yaml  seed   -     1.0',
    ]);
    expect(status).toBe(0);
    expect(JSON.parse(run('params', 'diff', '--cwd', 'run', '--json').stdout)).toEqual({
      'params.yaml': { lr: { old: 0.1, new: 0.2, diff: 0.1 }, seed: { old: null, new: 1 } },
    });
  });

  test('metrics diff as Markdown, with the change; metrics show names what is not there yet', () => {
    expect(run('metrics', 'diff', '--cwd', 'run', '--md').stdout.trimEnd().split('\n')).toEqual([
      '| Path | Metric | HEAD | now | Change |',
      '| --- | --- | --- | --- | --- |',
      '| m.json | f1 | 0.9 | 0.95123 | 0.051235 |',
      '| m.json | n | 10 | 12 | 2 |',
    ]);
    const { stdout, stderr } = run('metrics', 'show', '--cwd', 'run');
    expect(stdout).toContain('m.json  f1      0.95123');
    expect(stderr).toContain('not there yet: later.json; run the stages that write them');
  });

  test('metrics diff: what lies in the cache is found by the lock of the commit', () => {
    const md5 = 'ab'.repeat(16);
    mkdirSync(join(home, 'locked', '.dvc', 'cache', 'files', 'md5', 'ab'), { recursive: true });
    const put = (name: string, text: string) => writeFileSync(join(home, 'locked', name), text);
    put('dvc.yaml', 'stages: {a: {cmd: x, metrics: [m.json]}}');
    put(
      'dvc.lock',
      `schema: '2.0'\nstages:\n  a:\n    cmd: x\n    outs:\n    - path: m.json\n      hash: md5\n      md5: ${md5}\n      size: 9\n`,
    );
    git('add', 'locked/dvc.yaml', 'locked/dvc.lock');
    git('commit', '-qm', 'locked');
    put(join('.dvc', 'cache', 'files', 'md5', 'ab', md5.slice(2)), '{"f1": 1}');
    put('m.json', '{"f1": 3}');
    expect(JSON.parse(run('metrics', 'diff', '--cwd', 'locked', '--json').stdout)).toEqual({
      'm.json': { f1: { old: 1, new: 3, diff: 2 } },
    });
  });

  test('plots show: a picture for each file, pictures are copied, a second call replaces them', () => {
    for (const format of ['svg', 'json']) {
      const { stdout, status } = run('plots', 'show', '--cwd', 'run', '--out', 'drawn', '--format', format, '--json');
      expect(status).toBe(0);
      expect(JSON.parse(stdout)).toEqual({
        out: 'drawn',
        plots: [
          { id: 'curves/loss.csv', file: `curves_loss.csv.${format}` },
          { id: 'curves/shape.svg', file: 'curves_shape.svg' },
          { id: 'cm.csv', file: `cm.csv.${format}` },
        ],
        missing: ['later.csv'],
      });
      expect(readdirSync(join(home, 'drawn')).sort()).toEqual([`cm.csv.${format}`, `curves_loss.csv.${format}`, 'curves_shape.svg']);
    }
    const spec = JSON.parse(readFileSync(join(home, 'drawn', 'cm.csv.json'), 'utf8'));
    expect(spec.data.values.map((cell: Record<string, unknown>) => [cell.actual, cell.predicted, cell.value])).toEqual([
      ['cat', 'cat', 1],
      ['cat', 'dog', 1],
      ['dog', 'cat', 0],
      ['dog', 'dog', 1],
    ]);
  });

  test.each([
    [['params', 'diff', 'gone', '--cwd', 'run'], 'git: unknown commit: gone; name a commit, branch or tag'],
    [['params', 'diff', '--cwd', 'nowhere'], 'pipeline: not found: nowhere/dvc.yaml; name a folder that holds a dvc.yaml'],
    [['plots', 'show', '--cwd', 'run'], "required option '--out <folder>' not specified"],
    [['plots', 'show', '--cwd', 'run', '--out', 'x', '--format', 'gif'], 'plots show --help'],
  ])('%j: one line, exit 2', (words, message) => {
    const { status, stderr } = run(...words);
    expect(stderr).toContain(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(status).toBe(2);
  });
});
