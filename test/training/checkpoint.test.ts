import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, watch, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';
import { latestCheckpoint, removeForeignCheckpoints } from '../../src/training/checkpoint.ts';
import { readRun } from '../../src/training/tracking.ts';
import { type TrainOptions, train } from '../../src/training/trainer.ts';
import { trainingSettings } from '../../src/training/training-settings.ts';
import { smallBatch, smallModel } from './small-model.ts';

const script = fileURLToPath(new URL('./run-small.ts', import.meta.url));
let home: string;
beforeEach(() => void (home = mkdtempSync(join(tmpdir(), 'clinfuse-checkpoint-'))));
afterEach(() => rmSync(home, { recursive: true, force: true }));

const identity = { model: 'small', data: 'numbers', learningRate: '0.05' };
const run = (
  folder: string,
  more: Partial<TrainOptions> & { identity?: Record<string, string>; resume?: boolean; maxSteps?: number } = {},
) =>
  train({
    trainable: smallModel({ dropout: 0.3 }),
    batches: (epoch) => Array.from({ length: 5 }, (_, i) => smallBatch(epoch * 5 + i)),
    clock: () => 0,
    settings: trainingSettings({ epochs: 3, learningRate: 0.05, evaluationEvery: 'never', checkpointEvery: 4, keep: 2 }),
    checkpoints: { folder, identity: more.identity ?? identity, resume: more.resume ?? false },
    ...more,
  });
/** All files below a folder with their bytes. */
const contents = (folder: string) =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path.slice(folder.length), readFileSync(path).toString('base64')]),
  );

describe('a run that is stopped and resumed', () => {
  test.each([1, 4, 7, 14])('by Ctrl-C after step %i saves that step, and goes on as if nothing had been', async (last) => {
    const [whole, broken] = [join(home, 'whole'), join(home, 'broken')];
    await run(whole);
    const stop = new AbortController();
    const sink = {
      metrics: async ([first]: readonly { step: number }[]) => void (first!.step === last && stop.abort()),
      rewind: async () => {},
    };
    const { ended, state } = await run(broken, { signal: stop.signal, sinks: [sink] });
    expect({ ended, step: state.step, saved: latestCheckpoint(broken)?.step }).toEqual({ ended: 'interrupted', step: last, saved: last });
    expect((await run(broken, { resume: true })).ended).toBe('finished');
    expect(contents(join(broken, 'checkpoint-000015'))).toEqual(contents(join(whole, 'checkpoint-000015')));
  });

  test('hears the signal even where the model never waits', async () => {
    const settings = trainingSettings({ maxSteps: 1_000_000, evaluationEvery: 'never', checkpointEvery: 'never' });
    expect(await run(home, { signal: AbortSignal.timeout(1), settings })).toMatchObject({ ended: 'interrupted' });
  });

  test('a finished run resumed does nothing more', async () => {
    await run(home);
    const before = contents(home);
    expect(await run(home, { resume: true })).toMatchObject({ ended: 'finished', state: { step: 15 } });
    expect(contents(home)).toEqual(before);
  });

  test('by kill -9 at any moment, also while a checkpoint is written or removed, ends in the same bytes', async () => {
    const words = 8000;
    const [whole, broken] = [join(home, 'whole'), join(home, 'broken')];
    expect(spawnSync(process.execPath, [script, whole, String(words)], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
    mkdirSync(broken);
    const draw = random(5, 'kill');
    let halfWritten = 0;
    let kills = 0;
    for (let attempt = 0; attempt < 30; attempt++) {
      // By turns: once a checkpoint begins to be written or removed, or after some step.
      const status = await killed(
        [script, broken, String(words)],
        attempt % 2 === 0 ? { watch: broken, times: draw.integer(1, 3) } : { steps: draw.integer(3, 8) },
      );
      const left = readdirSync(broken).filter((name) => name.startsWith('.checkpoint-'));
      if (left.length > 0) halfWritten += 1;
      if (status === 0) break;
      kills += 1;
    }
    expect(kills).toBeGreaterThan(3);
    expect(halfWritten).toBeGreaterThan(0);
    expect(spawnSync(process.execPath, [script, broken, String(words)], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
    expect(readdirSync(broken).sort()).toEqual(readdirSync(whole).sort());
    const [a, b] = [contents(broken), contents(whole)];
    expect(Object.keys(a)).toEqual(Object.keys(b));
    // The log tells of every kill; what it amounts to is the same.
    expect(Object.keys(a).filter((file) => a[file] !== b[file])).toEqual(['/log/events.jsonl']);
    expect(readRun(join(broken, 'log')).metrics).toEqual(readRun(join(whole, 'log')).metrics);
  });
});

/** Runs until it ends, or is killed as it has said so many steps, or as so many hidden folders have come up in the watched one. */
function killed(
  words: readonly string[],
  when: { readonly steps: number } | { readonly watch: string; readonly times: number },
): Promise<number | null> {
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const seen = new Set<string>();
  const watcher =
    'watch' in when
      ? watch(when.watch, (_, name) => {
          if (name?.startsWith('.checkpoint-')) seen.add(name);
          if (seen.size >= when.times) child.kill('SIGKILL');
        })
      : undefined;
  let said = 0;
  child.stdout.on('data', (part: Buffer) => {
    said += part.toString().split('\n').length - 1;
    if ('steps' in when && said >= when.steps) child.kill('SIGKILL');
  });
  return new Promise((done) =>
    child.on('exit', (status) => {
      watcher?.close();
      done(status);
    }),
  );
}

describe('what is not resumed', () => {
  test('a folder that holds checkpoints, unless told to', async () => {
    await run(home);
    await expect(run(home)).rejects.toThrow(`training: folder holds checkpoints: ${home}; resume, or name another folder`);
  });

  test('another model, other data or other settings, named with both values', async () => {
    await run(home);
    const other = run(home, { resume: true, identity: { ...identity, data: 'others', learningRate: '0.1' } });
    await expect(other).rejects.toThrow(
      /^training: not the run of .*checkpoint-000015: data is others, was numbers, learningRate is 0\.1, was 0\.05; resume with the same/,
    );
    const { learningRate: _, ...fewer } = identity;
    await expect(run(home, { resume: true, identity: fewer })).rejects.toThrow('learningRate is not set, was 0.05');
  });

  test('checkpoints of another run are removed where that is asked for, and no others', async () => {
    await run(home);
    const before = readdirSync(home);
    expect(removeForeignCheckpoints(home, identity)).toBe(false);
    expect(readdirSync(home)).toEqual(before);
    expect(removeForeignCheckpoints(home, { ...identity, data: 'others' })).toBe(true);
    expect(readdirSync(home)).toEqual([]);
    expect(removeForeignCheckpoints(home, identity)).toBe(false);
  });

  test.each([
    {
      name: 'a state that is no JSON',
      spoil: (path: string) => writeFileSync(join(path, 'trainer_state.json'), '{'),
      says: 'trainer_state.json is missing or not one',
    },
    {
      name: 'no state',
      spoil: (path: string) => rmSync(join(path, 'trainer_state.json')),
      says: 'trainer_state.json is missing or not one',
    },
    { name: 'cut-off values', spoil: (path: string) => truncateSync(join(path, 'adapter_model.safetensors'), 400), says: 'truncated' },
    { name: 'no moments', spoil: (path: string) => rmSync(join(path, 'optimizer.safetensors')), says: 'file not found' },
    {
      name: 'moments in place of values',
      spoil: (path: string) => cpSync(join(path, 'optimizer.safetensors'), join(path, 'adapter_model.safetensors')),
      says: 'holds 6 trained arrays, the model has 3; remove it to resume from the one before',
    },
  ])('a damaged checkpoint: $name', async ({ spoil, says }) => {
    await run(home);
    spoil(latestCheckpoint(home)!.path);
    await expect(run(home, { resume: true })).rejects.toThrow(says);
  });

  test('a model of another size', async () => {
    await run(home);
    await expect(run(home, { resume: true, trainable: smallModel({ size: 5 }) })).rejects.toThrow(
      'embed.weight is F32 [20,4], not F32 of 100 values',
    );
  });
});

describe('a disk that fills up', () => {
  /** No disk to fill here: the shell limits how large a file may grow, which the system reports in the same way. */
  const onFullDisk = (words: readonly string[]) =>
    spawnSync('bash', ['-c', `ulimit -f 100; trap '' XFSZ; exec "$0" "$@"`, process.execPath, ...words], { encoding: 'utf8' });

  test('ends the run in one line; the last good checkpoint stays, and the run goes on from it once there is space', async () => {
    const words = [script, home, '8000'];
    await killed(words, { steps: 5 });
    const kept = contents(join(home, 'checkpoint-000003'));
    const { status, stderr } = onFullDisk(words);
    expect(stderr).toMatch(
      /^output: disk full while writing .*checkpoint-00000[56]; the last good one is checkpoint-00000[35]: free space and resume\n$/,
    );
    expect(status).toBe(2);
    expect(readdirSync(home).filter((name) => name.startsWith('.'))).toEqual([]);
    expect(contents(join(home, 'checkpoint-000003'))).toEqual(kept);
    expect(spawnSync(process.execPath, words, { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  });

  test('says so when there is no earlier checkpoint', () => {
    const { status, stderr } = onFullDisk([script, join(home, 'run'), '8000']);
    expect(stderr).toMatch(/^output: disk full while writing .*checkpoint-000003; there is no earlier one: free space and resume\n$/);
    expect(status).toBe(2);
    expect(readdirSync(join(home, 'run'))).toEqual(['log']);
  });
});
