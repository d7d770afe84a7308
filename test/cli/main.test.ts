import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-cli-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

function clinfuse(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...words], { cwd: home, encoding: 'utf8' });
  return { status, stdout, stderr };
}

describe('the command line', () => {
  test('--help lists every verb with one line, and says how to go on', () => {
    const { status, stdout } = clinfuse('--help');
    expect(status).toBe(0);
    for (const name of [
      'generate',
      'ingest',
      'segment',
      'inject-errors',
      'resolve',
      'infer',
      'golden-records',
      'evaluate-baselines',
      'run',
      'report',
      'summary',
      'explain',
      'evidence-train',
    ]) {
      expect(stdout).toMatch(new RegExp(`^  er ${name} +\\S.*$`, 'm'));
    }
    for (const name of ['dedupe', 'train', 'predict', 'cluster', 'evaluate'])
      expect(stdout).toMatch(new RegExp(`^  link ${name} +\\S.*$`, 'm'));
    expect(stdout).toMatch(/^ {2}doctor +\S.*$/m);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(110);
  });

  test.each([
    [['er', 'resovle'], 'unknown verb: resovle; did you mean resolve?'],
    [['re'], 'unknown area: re; did you mean er?'],
    [['docter'], 'unknown area: docter; did you mean doctor?'],
    [['doctor', '--fast'], 'unknown option'],
    [['er', 'run', '--out', 'x'], '--in <folder>'],
    [['er', 'run', '--in', 'a', '--out', 'b', '--fast'], 'unknown option'],
    [['er', 'run', '--in', 'a', '--out', 'b', '--threads', 'many'], '--threads: not a number: many'],
    [['er', 'run', '--in', 'nowhere', '--out', 'b'], 'nowhere'],
    [['er', 'run', '--in', 'nowhere', '--out', 'b', '--model', 'nothing.json'], 'model: cannot be read: nothing.json'],
    [['er', 'run', '--in', 'nowhere', '--out', 'b', '--params', 'none.yaml'], 'params: file not found: none.yaml'],
  ])('%j is the user’s mistake: exit 2 and one line', (words, message) => {
    const { status, stdout, stderr } = clinfuse(...words);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(readdirSync(home)).toEqual([]);
  });

  test('every verb has a help page with an example', () => {
    const { stdout } = clinfuse('er', 'run', '--help');
    expect(stdout).toContain('Example:\n  clinfuse er run --in');
  });

  test('an output folder that is somebody else’s is left alone', () => {
    const mine = join(home, 'mine');
    mkdirSync(mine);
    writeFileSync(join(mine, 'thesis.doc'), 'years of work');
    const { status, stderr } = clinfuse('er', 'run', '--in', resolve(import.meta.dirname, '../../examples/data'), '--out', mine);
    expect(status).toBe(2);
    expect(stderr).toMatch(/output: folder holds something not written by this command: .*thesis\.doc/);
    expect(readdirSync(mine)).toEqual(['thesis.doc']);
    rmSync(mine, { recursive: true });
  });
});
