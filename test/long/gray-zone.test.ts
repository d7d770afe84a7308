// examples/gray-zone, the language model's chain from records to report: killed once in every stage, at a seeded moment of its work, it ends
// in the outputs of an undisturbed run; real DVC (bench/peers/setup.sh) then finds nothing to do; a worse model changes nothing.

import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join, relative, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { random } from '../../src/base/random.ts';

const root = resolve(import.meta.dirname, '../..');
const programs = join(process.env['CLINFUSE_CACHE'] || join(homedir(), '.cache', 'clinfuse'), 'peers', 'dvc', 'bin');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-chain-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const hour = 3_600_000;

/** A project of its own: the sample, and the pipeline with a model that leans to True, so that its F1 is well above 0. */
function project(name: string): string {
  const folder = join(home, name);
  const isOwn = (path: string) => !/gray-zone[/\\](output|models-registry|dvc\.lock)/.test(path);
  for (const part of ['data', 'gray-zone']) cpSync(join(root, 'examples', part), join(folder, part), { recursive: true, filter: isOwn });
  spawnSync('git', ['init', '--quiet', folder]);
  train(join(folder, 'gray-zone'), { 'class-weights': '1,2' });
  return join(folder, 'gray-zone');
}

/** Changes settings of the block `train`. */
function train(pipeline: string, settings: Readonly<Record<string, string | number>>): void {
  const file = join(pipeline, 'params.yaml');
  const lines = Object.entries(settings).map(([name, value]) => `  ${name}: ${value}\n`);
  const others = readFileSync(file, 'utf8')
    .split(/(?<=\n)/)
    .filter((line) => !Object.keys(settings).some((name) => line.startsWith(`  ${name}:`)));
  writeFileSync(file, others.join('').replace('\ntrain:\n', `\ntrain:\n${lines.join('')}`));
}

type Report = { readonly stages: readonly { readonly stage: string; readonly outcome: string; readonly seconds: number }[] };

function repro(pipeline: string, ...words: string[]): Report {
  const { status, stdout, stderr } = spawnSync(join(root, 'bin', 'clinfuse'), ['repro', '--cwd', pipeline, '--json', ...words], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

/** Starts a stage and kills it some milliseconds after it began: the runner, or all that it started as well. Returns whether it was in time. */
function killed(pipeline: string, stage: string, { afterMs, everything }: { readonly afterMs: number; readonly everything: boolean }) {
  const child = spawn(join(root, 'bin', 'clinfuse'), ['repro', '--cwd', pipeline, stage], {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  let said = '';
  let timer: NodeJS.Timeout | undefined;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (timer || !said.includes(`] ${stage}: runs: `)) return;
    timer = setTimeout(() => {
      for (const group of everything ? [...groupsUnder(child.pid!), child.pid!] : [child.pid!]) {
        try {
          process.kill(-group, 'SIGKILL');
        } catch {
          // It ended by itself a moment ago.
        }
      }
    }, afterMs);
  });
  return new Promise<boolean>((done) => {
    child.on('exit', (_, signal) => {
      clearTimeout(timer);
      done(signal === 'SIGKILL' && !said.includes(`] ${stage}: done`));
    });
  });
}

/** Process groups of all that a process started. */
function groupsUnder(pid: number): number[] {
  const rows = spawnSync('ps', ['-eo', 'pid=,ppid=,pgid='], { encoding: 'utf8' }).stdout.trim().split('\n');
  const table = rows.map((row) => row.trim().split(/\s+/).map(Number) as [number, number, number]);
  const below = (parent: number): number[] => table.flatMap(([own, of, group]) => (of === parent ? [group, ...below(own)] : []));
  return [...new Set(below(pid))];
}

/** Words and figures that say when, and how fast. */
const timely = new Set(['timestamp', 'time', 'elapsed_seconds', 'profile_seconds', 'throughput', 'resumed']);
const timeless = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(timeless)
    : typeof value === 'object' && value !== null
      ? Object.fromEntries(Object.entries(value).flatMap(([key, one]) => (timely.has(key) ? [] : [[key, timeless(one)]])))
      : value;

/** Every output that dvc.lock names, file by file, and the models of the registry. */
function outputsOf(pipeline: string): ReadonlyMap<string, string> {
  const { stages } = parse(readFileSync(join(pipeline, 'dvc.lock'), 'utf8')) as { stages: Record<string, { outs: { path: string }[] }> };
  const places = Object.values(stages).flatMap(({ outs }) => outs.map(({ path }) => join(pipeline, path)));
  const files = [...places, join(pipeline, 'models-registry')].flatMap((place) => filesIn(place));
  return new Map(files.map((file) => [relative(pipeline, file), contentOf(file)]));
}

function contentOf(file: string): string {
  if (!file.endsWith('.json')) return readFileSync(file, 'latin1');
  return JSON.stringify(timeless(JSON.parse(readFileSync(file, 'utf8'))));
}

function filesIn(place: string): string[] {
  if (!existsSync(place)) return [];
  if (!statSync(place).isDirectory()) return [place];
  const entries = readdirSync(place, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return entries.map((entry) => join(entry.parentPath, entry.name)).sort();
}

const differing = (left: ReadonlyMap<string, string>, right: ReadonlyMap<string, string>) =>
  [...new Set([...left.keys(), ...right.keys()])].filter((name) => left.get(name) !== right.get(name));

describe('examples/gray-zone', () => {
  const calm = project('calm');
  const disturbed = project('disturbed');

  test('killed once in every stage, it ends in the outputs of an undisturbed run', { timeout: hour }, async () => {
    const began = performance.now();
    const { stages } = repro(calm);
    console.log(`undisturbed: ${((performance.now() - began) / 1000).toFixed(0)} s`);
    expect(stages.filter(({ outcome }) => outcome !== 'ran')).toEqual([]);
    const { float } = random('gray-zone', 1);
    const before = join(home, 'before');
    for (const [i, { stage, seconds }] of stages.entries()) {
      if (i > 0) repro(disturbed, stages[i - 1]!.stage);
      cpSync(resolve(disturbed, '..'), before, { recursive: true });
      let afterMs = (0.05 + 0.8 * float()) * 1000 * seconds;
      // A machine may be faster than a minute ago: then the stage is done, and is begun anew and killed sooner.
      while (!(await killed(disturbed, stage, { afterMs, everything: i % 2 === 0 }))) {
        rmSync(resolve(disturbed, '..'), { recursive: true });
        cpSync(before, resolve(disturbed, '..'), { recursive: true });
        afterMs /= 2;
      }
      console.log(`${stage}: killed after ${(afterMs / 1000).toFixed(1)} of ${seconds.toFixed(1)} s`);
      rmSync(before, { recursive: true });
    }
    repro(disturbed);
    expect(repro(disturbed).stages.filter(({ outcome }) => outcome !== 'up to date')).toEqual([]);
    expect(differing(outputsOf(disturbed), outputsOf(calm))).toEqual([]);
  });

  test.skipIf(!existsSync(programs))('real DVC has nothing to do afterwards', { timeout: hour }, () => {
    const env = { ...process.env, PATH: [join(root, 'bin'), process.env['PATH']].join(delimiter), DVC_NO_ANALYTICS: '1' };
    for (const word of ['status', 'repro']) {
      const { status, stdout, stderr } = spawnSync(join(programs, 'dvc'), [word], { cwd: disturbed, env, encoding: 'utf8' });
      expect({ word, status, stderr }).toEqual({ word, status: 0, stderr: '' });
      expect(stdout).toContain('Data and pipelines are up to date.');
      expect(stdout).not.toContain('Running');
    }
  });

  test('a worse model is not promoted, and nothing of the champion changes', { timeout: hour }, () => {
    const candidate = /^output\/(train|export\/export_info\.json)|^models-registry\/.*(versions\/2\/)/;
    const before = outputsOf(disturbed);
    train(disturbed, { 'class-weights': '100,1', 'max-steps': 20 });
    const { stages } = repro(disturbed);
    const ran = stages.filter(({ outcome }) => outcome !== 'up to date');
    expect(ran.map(({ stage }) => stage)).toEqual(['train', 'promote', 'export']);
    const read = (name: string) => JSON.parse(readFileSync(join(disturbed, 'output', name), 'utf8'));
    expect(read('train/promotion_decision.json')).toMatchObject({ promoted: false, model_version: 2, champion_version: 1 });
    expect(read('export/export_info.json')).toEqual({ skipped: true, reason: 'model_not_promoted' });
    expect(differing(before, outputsOf(disturbed)).filter((name) => !candidate.test(name))).toEqual([]);
  });
});
