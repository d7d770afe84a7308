import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-gray-zone-'));
const folder = join(home, 'gray-zone');
const at = (...names: string[]) => join(folder, ...names);
for (const name of ['base', 'dvc.yaml', 'params.yaml']) {
  cpSync(join(root, 'examples', 'gray-zone', name), at(name), { recursive: true });
}
cpSync(join(root, 'examples', 'data'), join(home, 'data'), { recursive: true });
mkdirSync(join(home, '.dvc'));
writeFileSync(join(home, '.dvc', 'config'), '[core]\n    no_scm = True\n');
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** As the file, but with these lines under `train`. */
function train(settings: readonly string[]): void {
  const whole = readFileSync(join(root, 'examples', 'gray-zone', 'params.yaml'), 'utf8');
  const text = whole.replace('prepare_dataset:\n', 'prepare_dataset:\n  max-pairs: 24\n');
  const [before, after] = text.split(/^train:\n(?: .*\n)+/m) as [string, string];
  const shared = ['learning-rate: 0.002', 'warmup: 0', 'batch-size: 4', 'accumulation: 1', 'checkpoint-every: 1'];
  writeFileSync(at('params.yaml'), `${before}train:\n${[...shared, ...settings].map((line) => `  ${line}\n`).join('')}${after}`);
}

function repro() {
  const run = spawnSync(join(root, 'bin', 'clinfuse'), ['repro', 'export', '--cwd', folder, '--json'], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(run.stderr);
  const { stages } = JSON.parse(run.stdout) as { stages: { stage: string; outcome: string }[] };
  return Object.fromEntries(stages.map(({ stage, outcome }) => [stage, outcome]));
}

/** Files of a folder with their bytes. */
function contents(name: string): (readonly [string, string])[] {
  const entries = readdirSync(at(name), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const files = entries.map((entry) => join(entry.parentPath, entry.name)).sort();
  return files.map((file) => [file, readFileSync(file, 'latin1')] as const);
}

/** Starts a run and kills it when a file is there. */
function killedAt(file: string): Promise<void> {
  const child = spawn(join(root, 'bin', 'clinfuse'), ['repro', 'export', '--cwd', folder], { stdio: 'ignore' });
  return new Promise((done) => {
    const watch = setInterval(() => existsSync(file) && child.kill('SIGKILL'), 5);
    child.on('exit', () => {
      clearInterval(watch);
      done();
    });
  });
}

describe('examples/gray-zone', () => {
  // Costs of the classes make the one say True and the other False, whatever else they learn.
  const leansToTrue = ['class-weights: 1,100', 'max-steps: 8'];
  const leansToFalse = ['class-weights: 100,1', 'max-steps: 4', 'seed: 7'];
  /** Steps from which the run began and was gone on with; -1 is the start. */
  function starts(): number[] {
    const events = readFileSync(at('output/train/log/events.jsonl'), 'utf8').trim().split('\n');
    return events.map((line) => JSON.parse(line)).flatMap(({ kind, step }) => (kind === 'rewind' ? [step] : []));
  }

  test('killed while it trains, it goes on from the newest checkpoint, and promotes and exports the first', {
    timeout: 240_000,
  }, async () => {
    train(leansToTrue);
    await killedAt(at('output/train/checkpoints/checkpoint-000003'));
    expect(existsSync(at('output/train/adapter'))).toBe(false);
    expect(repro()).toEqual({ prepare_dataset: 'up to date', train: 'ran', promote: 'ran', export: 'ran' });
    expect(starts()).toEqual([-1, expect.any(Number)]);
    expect(starts()[1]).toBeGreaterThan(2);
    expect(readdirSync(at('output/export')).sort()).toEqual(['export_info.json', 'model']);
    expect(Object.values(repro())).toEqual(Array(4).fill('up to date'));
  });

  test('a worse one, of other settings, begins anew; it is skipped, and the model of the champion stays', { timeout: 240_000 }, () => {
    const champion = () => [
      ...contents('output/export/model'),
      ...contents('models-registry').filter(([name]) => !/versions.2/.test(name)),
    ];
    const before = champion();
    train(leansToFalse);
    expect(repro()).toEqual({ prepare_dataset: 'up to date', train: 'ran', promote: 'ran', export: 'ran' });
    expect(JSON.parse(readFileSync(at('output/train/promotion_decision.json'), 'utf8'))).toMatchObject({
      promoted: false,
      model_version: 2,
    });
    expect(JSON.parse(readFileSync(at('output/export/export_info.json'), 'utf8'))).toEqual({ skipped: true, reason: 'model_not_promoted' });
    expect(champion()).toEqual(before);
  });
});
