import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { commandAt, inputName, jobFile, jobFileOf, jobInput, nameJob } from '../../src/remote/job.ts';

const home = mkdtempSync(join(tmpdir(), 'clinfuse-job-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));
mkdirSync(join(home, 'model'));
writeFileSync(join(home, 'model', 'config.json'), '{}');
writeFileSync(join(home, 'pairs.csv'), 'text\na\n');
const model = await jobInput(join(home, 'model'));
const pairs = await jobInput(join(home, 'pairs.csv'));
const job = nameJob({
  stage: 'infer',
  command: ['er', 'llm', 'infer', '--model', '{in}/model', '--input', '{in}/pairs.csv', '--out', '{out}/predictions.parquet'],
  inputs: { model, 'pairs.csv': pairs },
  outputs: ['predictions.parquet'],
});

describe('a job', () => {
  test('is named by what decides its result, not by where its inputs lie or in which order they are named', () => {
    expect(job.id).toMatch(/^[0-9a-f]{16}$/);
    const { id: _, ...rest } = job;
    expect(nameJob({ ...rest, inputs: { 'pairs.csv': { ...pairs, path: 'elsewhere' } as never, model } }).id).toBe(job.id);
    const others = [
      { ...rest, stage: 'train' as const },
      { ...rest, command: [...rest.command, '--threads', '1'] },
      { ...rest, inputs: { ...rest.inputs, model: pairs } },
      { ...rest, inputs: { ...rest.inputs, model: { hub: 'owner/name' } } },
      { ...rest, inputs: { ...rest.inputs, model: { hub: 'owner/name', revision: 'v2' } } },
    ];
    expect(new Set([job, ...others.map(nameJob)].map(({ id }) => id)).size).toBe(6);
  });

  test('gets its places where it is done; words that only look like places stay', () => {
    const command = ['{in}/model', '{out}', '{out}/a b.parquet', '{output}', 'x{in}/y', '{in}/$&'];
    expect(commandAt({ command }, { input: '/a $& b/in', out: "o'ut" })).toEqual([
      ...['/a $& b/in/model', "o'ut", "o'ut/a b.parquet", '{output}', 'x{in}/y', '/a $& b/in/$&'],
    ]);
  });

  test('is sent without a path of this machine', () => {
    const sent = jobFile.parse(JSON.parse(JSON.stringify(jobFileOf(job, 'first'))));
    expect(sent).toMatchObject({
      id: job.id,
      attempt: 'first',
      inputs: { model: { fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) } },
    });
    expect(JSON.stringify(sent)).not.toContain(home);
  });

  test.each([
    { given: 'hf:owner/name', is: { hub: 'owner/name' } },
    { given: 'hf:owner/name@v1.0', is: { hub: 'owner/name', revision: 'v1.0' } },
  ])('$given is left for the other machine to fetch', async ({ given, is }) => {
    expect(await jobInput(given)).toEqual(is);
    expect(inputName('model', given)).toBe('model');
  });

  test.each([
    { given: 'hf:name', says: /not a model on the hub: hf:name/ },
    { given: join(home, 'nothing'), says: /not found/ },
  ])('$given is refused', async ({ given, says }) => {
    await expect(jobInput(given)).rejects.toThrow(says);
  });

  test('a file keeps its extension, a folder has none', () => {
    expect(inputName('input', join(home, 'pairs.csv'))).toBe('input.csv');
    expect(inputName('model', join(home, 'model'))).toBe('model');
  });
});
