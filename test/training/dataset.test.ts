import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';

import { Database } from '../../src/sql/duckdb.ts';
import { holdOut, readDataset, readSplit } from '../../src/training/dataset.ts';
import { datasetFiles } from '../../src/training/dataset-files.ts';

const root = mkdtempSync(join(tmpdir(), 'clinfuse-'));
afterAll(() => rmSync(root, { recursive: true }));

let folders = 0;
/** A folder with these files. */
function folder(files: Readonly<Record<string, string>>): string {
  const path = join(root, String(folders++));
  mkdirSync(path);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), text);
  }
  return path;
}
const lines = (...rows: readonly unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
const card = (yaml: string) => `---\n${yaml}\n---\n# A data set\n`;
const q = { role: 'user', content: 'q' };
const a = { role: 'assistant', content: 'a' };

describe('data set files', () => {
  test.each([
    {
      name: 'split by file name',
      files: ['train.jsonl', 'dev.jsonl', 'test.jsonl'],
      want: { train: ['train.jsonl'], validation: ['dev.jsonl'], test: ['test.jsonl'] },
    },
    {
      name: 'split by shards',
      files: ['data/train-00001-of-00002.parquet', 'data/train-00000-of-00002.parquet', 'data/validation-00000-of-00001.parquet'],
      want: {
        train: ['data/train-00000-of-00002.parquet', 'data/train-00001-of-00002.parquet'],
        validation: ['data/validation-00000-of-00001.parquet'],
        test: [],
      },
    },
    {
      name: 'split by folder',
      files: ['train/a.json', 'eval/b.json', 'dataset_info.json'],
      want: { train: ['train/a.json'], validation: [], test: ['eval/b.json'] },
    },
    {
      name: 'words within words are no split',
      files: ['latest.jsonl', 'strained.jsonl'],
      want: { train: ['latest.jsonl', 'strained.jsonl'], validation: [], test: [] },
    },
  ])('$name', ({ files, want }) => {
    const path = folder(Object.fromEntries(files.map((name) => [name, ''])));
    const absolute = Object.fromEntries(Object.entries(want).map(([split, names]) => [split, names.map((name) => join(path, name))]));
    expect(datasetFiles(path)).toEqual(absolute);
  });

  test.each([
    {
      name: 'a list',
      yaml: 'configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: "x/*.jsonl"\n  - split: dev\n    path: [y.jsonl]',
    },
    {
      name: 'a map',
      yaml: 'configs:\n- config_name: other\n  data_files: z.jsonl\n- data_files:\n    train: x/*.jsonl\n    validation: y.jsonl',
    },
  ])('README.md names the files by $name', ({ yaml }) => {
    const path = folder({ 'README.md': card(yaml), 'x/1.jsonl': '', 'x/2.jsonl': '', 'y.jsonl': '', 'z.jsonl': '' });
    expect(datasetFiles(path)).toEqual({
      train: [join(path, 'x/1.jsonl'), join(path, 'x/2.jsonl')],
      validation: [join(path, 'y.jsonl')],
      test: [],
    });
  });

  test.each([
    { name: 'nothing there', files: {}, fault: /no data files in/ },
    {
      name: 'Arrow files',
      files: { 'data-00000.arrow': '', 'state.json': '{}' },
      fault: /format not supported: .*arrow; supported: .jsonl, .json, .parquet \(save others as Parquet\)/,
    },
    {
      name: 'a named file that is missing',
      files: { 'README.md': card('configs:\n- data_files: no.jsonl') },
      fault: /no file matches: no.jsonl/,
    },
    { name: 'a card that is wrong', files: { 'README.md': card('configs: 3') }, fault: /not understood: configs in/ },
  ])('$name is refused', ({ files, fault }) => {
    expect(() => datasetFiles(folder(files as Record<string, string>))).toThrow(fault);
  });

  test('a configuration that the card does not name is refused with those it names', () => {
    const path = folder({ 'README.md': card('configs:\n- config_name: one\n  data_files: a.jsonl'), 'a.jsonl': '' });
    expect(() => datasetFiles(path, { config: 'two' })).toThrow(/configuration not found: two; .* names: one/);
    expect(() => datasetFiles(join(path, 'nowhere'))).toThrow(/^dataset: not found/);
  });
});

describe('data set rows', () => {
  const read = async (row: unknown, task: 'causal' | 'class' = 'causal') => {
    const [found] = await readSplit(folder({ 'rows.jsonl': lines(row) }), { split: 'train', task });
    const { place: _, ...form } = found!;
    return form;
  };

  test.each([
    { name: 'chat', row: { messages: [q, a], id: 7 }, want: { kind: 'chat', messages: [q, a], from: 0 } },
    { name: 'chat in two parts', row: { prompt: [q, a, q], completion: [a] }, want: { kind: 'chat', messages: [q, a, q, a], from: 3 } },
    { name: 'text in two parts', row: { prompt: 'p', completion: 'c' }, want: { kind: 'pair', prompt: 'p', completion: 'c' } },
    { name: 'text', row: { text: 't', label: 3 }, want: { kind: 'text', text: 't' } },
  ])('$name', async ({ row, want }) => {
    expect(await read(row)).toEqual(want);
  });

  test('a class has a label by number or name, over a text or a chat', async () => {
    expect(await read({ text: 't', label: 3 }, 'class')).toEqual({ kind: 'class', input: 't', label: 3 });
    expect(await read({ messages: [q], label: 'yes' }, 'class')).toEqual({ kind: 'class', input: [q], label: 'yes' });
  });

  test.each([
    { name: 'not JSON', text: '{"text": "ok"}\n\n{"text": "secret\n', fault: /^dataset: not JSON: .*rows.jsonl row 3; each row/ },
    { name: 'not an object', text: '["secret"]\n', fault: /not an object: .* row 1/ },
    {
      name: 'unknown columns',
      text: '{"question": "secret"}\n',
      fault: /columns not understood: question in .* row 1; expected messages, or prompt/,
    },
    { name: 'a chat without content', text: '{"messages": [{"role": "secret"}]}\n', fault: /bad value in .* row 1: messages.0.content/ },
    {
      name: 'two kinds of halves',
      text: '{"prompt": "secret", "completion": [{"role": "user", "content": "secret"}]}\n',
      fault: /row 1: completion/,
    },
    { name: 'an empty text', text: '{"text": ""}\n', fault: /row 1: text/ },
  ])('$name: refused with file and row, and nothing of the text', async ({ text, fault }) => {
    const fail = readSplit(folder({ 'rows.jsonl': text }), { split: 'train', task: 'causal' });
    await expect(fail).rejects.toThrow(fault);
    await expect(fail).rejects.not.toThrow(/secret/);
  });

  test('Parquet, JSON lists and JSON lines give the same rows', async () => {
    const rows = [{ messages: [q, a] }, { messages: [{ role: 'user', content: 'Größe 😀\n' }, a] }];
    const path = folder({ 'a/rows.jsonl': `\ufeff${lines(...rows)}`, 'b/rows.json': JSON.stringify(rows) });
    mkdirSync(join(path, 'c'));
    await using database = await Database.open();
    await database.writeParquet(`select * from read_json('${join(path, 'a/rows.jsonl')}')`, join(path, 'c/rows.parquet'));
    const [lined, listed, stored] = await Promise.all(
      ['a', 'b', 'c'].map(async (name) =>
        (await readSplit(join(path, name), { split: 'train', task: 'causal' })).map(({ place, ...form }) => ({
          ...form,
          row: place.split(' ').at(-1),
        })),
      ),
    );
    expect(lined).toHaveLength(2);
    expect(listed).toEqual(lined);
    expect(stored).toEqual(lined);
  });

  test('a Parquet file that is none is refused by name', async () => {
    await expect(readSplit(folder({ 'x.parquet': 'no' }), { split: 'train', task: 'causal' })).rejects.toThrow(
      /cannot be read: .*x.parquet/,
    );
  });

  test('validation rows are those of their split, or a share held out by seed', async () => {
    const rows = Array.from({ length: 20 }, (_, i) => ({ text: `t${i}` }));
    const path = folder({ 'train.jsonl': lines(...rows), 'validation.jsonl': lines({ text: 'v' }) });
    const given = await readDataset(path, { task: 'causal', validationShare: 0.5, seed: 1 });
    expect([given.train.length, given.validation.length, given.heldOut]).toEqual([20, 1, false]);
    const alone = join(path, 'train.jsonl');
    const held = await readDataset(alone, { task: 'causal', validationShare: 0.25, seed: 1 });
    expect([held.train.length, held.validation.length, held.heldOut]).toEqual([15, 5, true]);
    expect(await readDataset(alone, { task: 'causal', validationShare: 0.25, seed: 1 })).toEqual(held);
    expect(await readDataset(alone, { task: 'causal', validationShare: 0.25, seed: 2 })).not.toEqual(held);
    await expect(readDataset(folder({ 'test.jsonl': lines({ text: 't' }) }), { task: 'causal', seed: 1 })).rejects.toThrow(
      /no training rows/,
    );
  });

  test('holding out splits the items in two, in order, neither part empty', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 60 }), fc.double({ min: 0.001, max: 0.999, noNaN: true }), fc.nat(), (count, share, seed) => {
        const items = Array.from({ length: count }, (_, i) => i);
        const { kept, held } = holdOut(items, { share, seed });
        expect([...kept, ...held].sort((x, y) => x - y)).toEqual(items);
        expect(kept.length * held.length).toBeGreaterThan(0);
        expect([kept, held]).toEqual([[...kept].sort((x, y) => x - y), [...held].sort((x, y) => x - y)]);
      }),
    );
  });
});
