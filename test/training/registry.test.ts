import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { addVersion, damagedFiles, modelNames, moveAlias, readAlias, readVersions, versionPath } from '../../src/training/registry.ts';

const time = new Date('2026-01-02T03:04:05Z');
let home: string;
let registry: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'clinfuse-registry-'));
  registry = join(home, 'registry');
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function candidate(files: Readonly<Record<string, string>>): string {
  const folder = join(home, 'candidate');
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

const add = (path: string, figures: Readonly<Record<string, number>> = {}) =>
  addVersion(registry, { name: 'm', candidate: path, figures, time });

describe('the registry', () => {
  test('a version is a copy of the candidate, with the hash of each file', async () => {
    const folder = candidate({ 'weights.bin': 'abc', 'tokenizer/vocab.txt': 'x', '.cache/x': 'left out' });
    const version = await addVersion(registry, { name: 'm', candidate: folder, figures: { eval_f1: 0.5 }, dataset: 'd1', run: 'r1', time });
    expect(version).toMatchObject({ name: 'm', version: 1, dataset: 'd1', run: 'r1', time: '2026-01-02T03:04:05.000Z' });
    expect(version.files).toEqual([
      { path: 'tokenizer/vocab.txt', bytes: 1, sha256: '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881' },
      { path: 'weights.bin', bytes: 3, sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad' },
    ]);
    expect(readVersions(registry, 'm')).toEqual([version]);
    expect(modelNames(registry)).toEqual(['m']);
  });

  test('writing over the candidate leaves the registered copy as it was', async () => {
    const version = await add(candidate({ weights: 'good' }));
    await add(candidate({ weights: 'worse' }));
    expect(readFileSync(versionPath(registry, version), 'utf8')).toBe('good');
    expect(await damagedFiles(registry, version)).toEqual([]);
    expect(statSync(versionPath(registry, version)).mode & 0o222).toBe(0);
  });

  test('a copy that was changed is told by its hash', async () => {
    const version = await add(candidate({ weights: 'good' }));
    rmSync(versionPath(registry, version));
    writeFileSync(versionPath(registry, version), 'evil');
    expect(await damagedFiles(registry, version)).toEqual(['weights']);
  });

  test('the same files with other figures are another version; with the same, the same', async () => {
    const folder = candidate({ weights: 'a' });
    const numbers = [];
    for (const f1 of [0.5, 0.5, 0.6, Number.NaN, Number.NaN, 0.5]) numbers.push((await add(folder, { eval_f1: f1 })).version);
    expect(numbers).toEqual([1, 1, 2, 3, 3, 1]);
  });

  test('an alias moves only from where the mover saw it', async () => {
    const move = (version: number, moves: number) => moveAlias(registry, { name: 'm', alias: 'champion', version, moves, time });
    expect(readAlias(registry, 'm', 'champion')).toEqual({ moves: 0 });
    expect(await move(1, 0)).toBe(true);
    expect(await move(2, 0)).toBe(false);
    expect(readAlias(registry, 'm', 'champion')).toEqual({ moves: 1, version: 1 });
    expect(await move(2, 1)).toBe(true);
    expect(readAlias(registry, 'm', 'champion')).toEqual({ moves: 2, version: 2 });
  });

  test('what a killed writer left is not seen, and is cleared a day later', async () => {
    await add(candidate({ weights: 'a' }));
    const folder = join(registry, 'm', 'versions');
    for (const name of ['.new-old', '.new-young']) mkdirSync(join(folder, name));
    const twoDaysAgo = Date.now() / 1000 - 2 * 86400;
    utimesSync(join(folder, '.new-old'), twoDaysAgo, twoDaysAgo);
    expect(readVersions(registry, 'm')).toHaveLength(1);
    await add(candidate({ weights: 'b' }));
    expect(readdirSync(folder).sort()).toEqual(['.new-young', '1', '2']);
  });

  test('processes that register at once, some of them killed: whole versions without gaps, none twice', async () => {
    const module = resolve(import.meta.dirname, '../../src/training/registry.ts');
    const program = `
      import { addVersion } from ${JSON.stringify(module)};
      const [registry, candidate, from] = process.argv.slice(1);
      for (let i = 0; i < 20; i++) {
        await addVersion(registry, { name: 'm', candidate, figures: { eval_f1: Number(from) + i }, time: new Date(0) });
        process.stdout.write('.');
      }`;
    const folder = candidate({ weights: 'a'.repeat(100_000), other: 'b' });
    const writers = [0, 100, 200].map((from) => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', program, registry, folder, String(from)]);
      let done = 0;
      // One of the three is killed in the middle of its work.
      child.stdout.on('data', (dots: Buffer) => (done += dots.length) >= 5 && from === 100 && child.kill('SIGKILL'));
      return new Promise<number | null>((finish) => child.on('exit', finish));
    });
    expect(await Promise.all(writers)).toEqual([0, null, 0]);
    const versions = readVersions(registry, 'm');
    expect(versions.map(({ version }) => version)).toEqual(versions.map((_, i) => i + 1));
    expect(new Set(versions.map(({ figures }) => figures['eval_f1'])).size).toBe(versions.length);
    expect(versions.filter(({ figures }) => figures['eval_f1']! < 100 || figures['eval_f1']! >= 200)).toHaveLength(40);
    for (const version of versions) expect(await damagedFiles(registry, version)).toEqual([]);
  });

  test('a candidate’s hash depends on its files alone', async () => {
    const anyFiles = fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), fc.string(), { minKeys: 1, maxKeys: 4 });
    await fc.assert(
      fc.asyncProperty(anyFiles, async (files) => {
        rmSync(join(home, 'candidate'), { recursive: true, force: true });
        const first = await add(candidate(files));
        rmSync(join(home, 'candidate'), { recursive: true, force: true });
        const again = await add(candidate(Object.fromEntries(Object.entries(files).reverse())));
        expect(again).toEqual(first);
      }),
      { numRuns: 15 },
    );
  });

  test.each([
    ['../m', 'registry: not a model name: ../m'],
    ['', 'registry: not a model name: '],
  ])('the name %j is refused', (name, message) => {
    expect(() => readVersions(registry, name)).toThrow(message);
  });

  test('a candidate that is not there, and an empty one, are refused', async () => {
    await expect(add(join(home, 'none'))).rejects.toThrow('input: not found');
    mkdirSync(join(home, 'empty'));
    await expect(add(join(home, 'empty'))).rejects.toThrow('input: empty folder');
  });
});
