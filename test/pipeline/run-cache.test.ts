import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { temporaryFolder } from '../../src/base/files.ts';
import type { LockEntry } from '../../src/pipeline/lock-entry.ts';
import { lockYaml, readLock, readLockEntry } from '../../src/pipeline/lock-file.ts';
import { openRepository } from '../../src/pipeline/repository.ts';
import { openRuns, runKey, runValue } from '../../src/pipeline/run-cache.ts';
import { writeYaml } from '../../src/pipeline/write-yaml.ts';
import { parseYaml } from '../../src/pipeline/yaml-values.ts';
import { oracle } from './oracle.ts';

const scratch = temporaryFolder();
afterAll(scratch.remove);

let count = 0;
function repository() {
  const folder = join(scratch.path, String(count++));
  mkdirSync(join(folder, '.dvc'), { recursive: true });
  return openRepository(folder);
}

describe('runs are named as DVC names them', () => {
  test.each(Object.entries(oracle.runs))('%s', (name, text) => {
    const entry = readLockEntry(parseYaml(text, { file: name }), name);
    const key = runKey(entry);
    expect(`${key.slice(0, 2)}/${key}/${runValue(entry)}`).toBe(name);
    expect(writeYaml(lockYaml(entry))).toBe(text);
  });

  test('the runs DVC kept are those of its lock', () => {
    writeFileSync(join(scratch.path, 'dvc.lock'), oracle.lock);
    const values = new Set([...readLock(scratch.path).values()].map(runValue));
    for (const name of Object.keys(oracle.runs)) expect(values).toContain(name.split('/')[2]);
  });
});

describe('remembered runs', () => {
  const md5 = (digit: number) => String(digit).repeat(32);
  const entry = (output: number): LockEntry => ({
    command: 'make',
    dependencies: [{ path: 'in', md5: md5(9), size: 1 }],
    parameters: {},
    outputs: [{ path: 'out', md5: md5(output), size: 1 }],
  });
  const stage = (workdir: string, path = 'out') => ({
    workdir,
    outputs: [{ path, role: 'out' as const, cache: true, persist: false }],
  });
  const everything = async () => true;

  /** Runs that were made one minute after the other. */
  async function remembered(outputs: readonly number[]) {
    const place = repository();
    const runs = openRuns(place);
    for (const [i, output] of outputs.entries()) {
      await runs.save(entry(output));
      const key = runKey(entry(output));
      const file = join(place.cacheFolder, 'runs', key.slice(0, 2), key, runValue(entry(output)));
      utimesSync(file, 1_000_000 + 60 * i, 1_000_000 + 60 * i);
    }
    return { place, runs };
  }

  test('the newest is found', async () => {
    const { place, runs } = await remembered([1, 2]);
    expect(await runs.find(stage(place.root), entry(0), everything)).toEqual(entry(2));
  });

  test('the newest whose outputs are in the cache is found', async () => {
    const { place, runs } = await remembered([1, 2, 3]);
    const has = async ({ md5: one }: { readonly md5: string }) => one === md5(1);
    expect(await runs.find(stage(place.root), entry(0), has)).toEqual(entry(1));
    expect(await runs.find(stage(place.root), entry(0), async () => false)).toBeUndefined();
  });

  test.each([
    { name: 'another command', asked: { ...entry(0), command: ['make'] } },
    { name: 'another dependency', asked: { ...entry(0), dependencies: [{ path: 'in', md5: md5(8), size: 1 }] } },
    {
      name: 'a dependency that may be executed',
      asked: { ...entry(0), dependencies: [{ path: 'in', md5: md5(9), size: 1, isExecutable: true as const }] },
    },
    { name: 'a parameter', asked: { ...entry(0), parameters: { 'params.yaml': { lr: 1n } } } },
  ])('not for $name', async ({ asked }) => {
    const { place, runs } = await remembered([1]);
    expect(await runs.find(stage(place.root), asked, everything)).toBeUndefined();
  });

  test('not for other outputs, nor outside the repository', async () => {
    const { place, runs } = await remembered([1]);
    expect(await runs.find(stage(place.root, 'other'), entry(0), everything)).toBeUndefined();
    expect(await runs.find(stage(dirname(place.root)), entry(0), everything)).toBeUndefined();
  });

  test('a broken record is no run', async () => {
    const { place, runs } = await remembered([1]);
    const key = runKey(entry(1));
    writeFileSync(join(place.cacheFolder, 'runs', key.slice(0, 2), key, 'f'.repeat(64)), 'cmd: [');
    expect(await runs.find(stage(place.root), entry(0), everything)).toEqual(entry(1));
  });
});
