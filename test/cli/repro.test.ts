import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';

import { startOf } from '../../src/pipeline/shell.ts';

const home = mkdtempSync(join(tmpdir(), 'clinfuse-cli-repro-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const main = resolve('src/cli/main.ts');
let folder = '';
let count = 0;
beforeEach(() => {
  folder = join(home, String(count++));
  mkdirSync(join(folder, '.dvc'), { recursive: true });
  write('.dvc/config', '[core]\n    no_scm = True\n');
  write('data', '1\n');
});

const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
const read = (name: string) => readFileSync(join(folder, name), 'utf8');

function clinfuse(...words: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [main, ...words, '--cwd', folder], { encoding: 'utf8' });
}

/** Times differ from run to run. */
const timeless = (text: string) => text.replaceAll(/\d+\.\d s/g, '0 s');

const two = `stages:
  a: {cmd: echo said; cat data > a, deps: [data], outs: [a]}
  b: {cmd: cat a > b, deps: [a], outs: [b]}
`;

describe('clinfuse repro', () => {
  test('says what it does on stderr, and how it went on stdout', () => {
    write('dvc.yaml', two);
    const first = clinfuse('repro');
    expect(timeless(first.stderr)).toBe(
      '[1/2] a: runs: never run\nsaid\n[1/2] a: done in 0 s\n[2/2] b: runs: never run\n[2/2] b: done in 0 s\n',
    );
    expect({ status: first.status, stdout: first.stdout }).toEqual({ status: 0, stdout: '2 stages: 2 ran\n' });
    write('data', '2\n');
    const second = clinfuse('repro', 'a', '--json');
    expect(JSON.parse(second.stdout)).toMatchObject({
      failed: [],
      stages: [{ stage: 'a', outcome: 'ran', reason: 'dependency data changed' }],
    });
    expect(clinfuse('repro', 'a', '--quiet')).toMatchObject({ stdout: 'up to date\n', stderr: '' });
  });

  test('several at once have their names before what they print', () => {
    write('dvc.yaml', 'stages:\n  a: {cmd: echo x; printf y}\n  b: {cmd: echo z}\n');
    const lines = clinfuse('repro', '--jobs', '2').stderr.split('\n');
    expect(lines.filter((line) => line.includes('|')).sort()).toEqual(['a | x', 'a | y', 'b | z']);
  });

  test('a failed stage ends it with exit 2 and the last lines of the stage, also when quiet', () => {
    write('dvc.yaml', `${two}  c: {cmd: 'seq 30; false', deps: [data], outs: [c]}\n  d: {cmd: touch d, deps: [c], outs: [d]}\n`);
    const { status, stderr, stdout } = clinfuse('repro', '--quiet');
    const last = Array.from({ length: 20 }, (_, i) => `  ${i + 11}\n`).join('');
    expect(stderr).toBe(`clinfuse: repro: stage failed: c: exit code 1: seq 30; false; its last lines:\n${last}`);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '4 stages: 2 ran, 1 failed, 1 not reached\n' });
  });

  test.each([
    ['no dvc.yaml', '', ['repro'], /^clinfuse: pipeline: not found: .*dvc\.yaml/],
    ['an unknown stage', two, ['repro', 'aa'], /no such stage or output: aa; did you mean a\?/],
    ['no count of jobs', two, ['repro', '--jobs', '0'], /--jobs: not a whole number from 1 up; see clinfuse repro --help/],
  ])('%s is one line and exit 2', (_, yaml, words, says) => {
    if (yaml) write('dvc.yaml', yaml);
    const { status, stderr } = clinfuse(...words);
    expect({ status, lines: stderr.trim().split('\n').length }).toEqual({ status: 2, lines: 1 });
    expect(stderr).toMatch(says);
  });

  test('a stage finds the program that runs it', () => {
    write('dvc.yaml', 'stages:\n  a: {cmd: clinfuse --version > a, outs: [a]}\n');
    expect(clinfuse('repro').status).toBe(0);
    expect(read('a')).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  /** Starts a run and waits for a line of it. */
  async function started(line: RegExp) {
    const child = spawn(process.execPath, [main, 'repro', '--cwd', folder], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const ended = new Promise<{ code: number | null; said: string }>((done) => child.on('close', (code) => done({ code, said })));
    await expect.poll(() => said, { timeout: 30_000 }).toMatch(line);
    return { child, ended };
  }

  const sleeps =
    'stages:\n  a: {cmd: cat data > a, deps: [data], outs: [a]}\n  b: {cmd: "echo group $$; sleep 60", deps: [a], outs: [b]}\n';

  test('Ctrl-C stops what runs, keeps what finished, and exits with 130', async () => {
    write('dvc.yaml', sleeps);
    const { child, ended } = await started(/group \d+/);
    child.kill('SIGINT');
    const { code, said } = await ended;
    expect(code).toBe(130);
    expect(said).toMatch(/stopping the stages that run; again to stop at once/);
    expect(startOf(Number(said.match(/group (\d+)/)![1]))).toBeUndefined();
    expect(read('dvc.lock')).toMatch(/^ {2}a:$/m);
  });

  test('a second run waits, says for whom, and stops what a killed one left running', async () => {
    write('dvc.yaml', sleeps);
    const first = await started(/group \d+/);
    const second = await started(/waiting for the run of process/);
    write('dvc.yaml', sleeps.replace('sleep 60', 'touch b'));
    first.child.kill('SIGKILL');
    const orphan = Number((await first.ended.then(({ said }) => said)).match(/group (\d+)/)![1]);
    const { code, said } = await second.ended;
    expect(said).toContain(`repro: waiting for the run of process ${first.child.pid} on ${hostname()}, since `);
    expect(said).toContain('repro: an earlier run was killed in b\n');
    expect({ code, orphan: startOf(orphan), b: existsSync(join(folder, 'b')) }).toEqual({ code: 0, orphan: undefined, b: true });
  });
});

describe('clinfuse status', () => {
  test('says what changed; silent, its exit code says whether', () => {
    write('dvc.yaml', two);
    expect(clinfuse('status').stdout).toBe('a:\n  never run\nb:\n  never run\n');
    clinfuse('repro', '--quiet');
    expect(clinfuse('status')).toMatchObject({ stdout: 'up to date\n', status: 0 });
    write('data', '2\n');
    expect(clinfuse('status')).toMatchObject({ stdout: 'a:\n  dependency data changed\n', status: 0 });
    expect(JSON.parse(clinfuse('status', '--json').stdout)).toEqual({ a: [{ 'changed deps': { data: 'modified' } }] });
    expect(clinfuse('status', '--quiet')).toMatchObject({ stdout: '', stderr: '', status: 1 });
    expect(clinfuse('status', 'b', '--quiet').status).toBe(0);
  });
});

describe('clinfuse dag', () => {
  test('draws the stages as text, as Mermaid and as a picture', () => {
    write('dvc.yaml', two);
    expect(clinfuse('dag').stdout).toBe('●  a\n│\n●  b\n');
    expect(clinfuse('dag', 'a', '--mermaid').stdout).toBe('flowchart TD\n\tnode1["a"]\n');
    expect(clinfuse('dag', '--svg', join(folder, 'dag.svg')).stdout).toBe(`2 stages drawn in ${join(folder, 'dag.svg')}\n`);
    expect(read('dag.svg')).toMatch(/^<svg .*>a<.*>b<.*<\/svg>\n$/s);
    expect(JSON.parse(clinfuse('dag', '--json').stdout)).toEqual({ stages: ['a', 'b'], edges: [['a', 'b']] });
  });
});
