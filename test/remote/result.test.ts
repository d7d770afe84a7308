import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';

import { hashText } from '../../src/base/content-hash.ts';
import { checkResult, parseManifest, readManifest, writeManifest } from '../../src/remote/result.ts';

const home = mkdtempSync(join(tmpdir(), 'clinfuse-result-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const made = join(home, 'made');
mkdirSync(join(made, 'out', 'adapter'), { recursive: true });
writeFileSync(join(made, 'out', 'metrics.json'), '{"f1":1}');
writeFileSync(join(made, 'out', 'adapter', 'weights'), Buffer.alloc(5000, 7));
const { id, revision } = await writeManifest(made, { id: 'job', attempt: 'first' });
const copy = join(home, 'copy');
beforeEach(() => {
  rmSync(copy, { recursive: true, force: true });
  cpSync(made, copy, { recursive: true });
});

describe('a result', () => {
  test('is taken where every file is as the manifest says', async () => {
    expect((await checkResult(copy, { id, revision })).files.map(({ path }) => path)).toEqual(['adapter/weights', 'metrics.json']);
    expect(readManifest(join(copy, 'out'))).toBeUndefined();
  });

  const manifest = (change: (text: string) => string) => () =>
    writeFileSync(join(copy, 'manifest.json'), change(readFileSync(join(made, 'manifest.json'), 'utf8')));

  test.each([
    {
      name: 'a file cut short',
      damage: () => writeFileSync(join(copy, 'out/adapter/weights'), Buffer.alloc(4000, 7)),
      says: /damaged: adapter/,
    },
    {
      name: 'other bytes',
      damage: () => writeFileSync(join(copy, 'out/adapter/weights'), Buffer.alloc(5000, 8)),
      says: /damaged: adapter/,
    },
    { name: 'a missing file', damage: () => rmSync(join(copy, 'out/metrics.json')), says: /damaged: metrics.json/ },
    { name: 'half a manifest', damage: manifest((text) => text.slice(0, 60)), says: /damaged: manifest.json/ },
    { name: 'no manifest', damage: () => rmSync(join(copy, 'manifest.json')), says: /damaged: manifest.json/ },
    { name: 'another list', damage: manifest((text) => text.replace('metrics.json', 'other.json')), says: /damaged: manifest.json/ },
    { name: 'a result of another job', damage: manifest((text) => text.replace('"job"', '"other"')), says: /another job: other/ },
  ])('$name is refused', async ({ damage, says }) => {
    damage();
    await expect(checkResult(copy, { id, revision })).rejects.toThrow(says);
  });

  test('a file outside its folder is refused, though the list is sound', async () => {
    const files = [{ path: '../secret', size: 1, sha256: 'x' }];
    const text = JSON.stringify({ id, attempt: 'a', revision: hashText(JSON.stringify([['../secret', 'x']])), files });
    expect(() => parseManifest(text)).toThrow(/outside its folder/);
  });
});
