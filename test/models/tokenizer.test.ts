import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { openTokenizer } from '../../src/models/open-tokenizer.ts';
import { tokenizerFromFolder } from '../../src/models/tokenizer.ts';
import { tokenizerFiles, tokenizerFromGguf } from '../../src/models/tokenizer-gguf.ts';

const oracle = join(import.meta.dirname, '../oracle/llm/tokenizer');
const json = <T>(...path: string[]) => JSON.parse(readFileSync(join(oracle, ...path), 'utf8')) as T;

type Case = { readonly text: string; readonly ids: number[]; readonly plain: number[]; readonly decoded: string; readonly skipped: string };
type Pieces = {
  readonly tokens: string[];
  readonly scores: number[];
  readonly kinds: number[];
  readonly bos: number;
  readonly eos: number;
};
const casesOf = (name: string) => json<{ readonly bos: number; readonly eos: number; readonly cases: Case[] }>(name, 'cases.json');

/** What a GGUF file made from the folder says. */
function metadata(name: string): Record<string, unknown> {
  if (name === 'gemma3' || name === 'llama2') {
    const { tokens, scores, kinds, bos, eos } = json<Pieces>(name, 'pieces.json');
    const token_type = kinds.map((kind, id) => (tokens[id]!.endsWith('_of_turn>') ? 3 : kind));
    return prefixed({
      model: 'llama',
      tokens,
      scores,
      token_type,
      bos_token_id: bos,
      eos_token_id: eos,
      add_space_prefix: name === 'llama2',
    });
  }
  type Stored = {
    readonly model: { readonly vocab: Record<string, number>; readonly merges: [string, string][] };
    readonly added_tokens: { readonly id: number }[];
  };
  const { model, added_tokens } = json<Stored>(name, 'tokenizer.json');
  const tokens = Object.entries(model.vocab)
    .sort((a, b) => a[1] - b[1])
    .map(([token]) => token);
  const token_type = tokens.map((_, id) => (added_tokens.some((added) => added.id === id) ? 3 : 1));
  const merges = model.merges.map((pair) => pair.join(' '));
  const { bos, eos } = casesOf(name);
  return prefixed({
    model: 'gpt2',
    pre: name === 'llama3' ? 'llama-bpe' : name,
    tokens,
    token_type,
    merges,
    bos_token_id: bos,
    eos_token_id: eos,
  });
}

const prefixed = (values: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [`tokenizer.ggml.${key}`, value]));

const names = ['llama3', 'smollm', 'gemma3', 'llama2'] as const;
const sources = [
  { source: 'folder', open: (name: string) => tokenizerFromFolder(join(oracle, name)) },
  { source: 'GGUF', open: (name: string) => tokenizerFromGguf(metadata(name)) },
];
const kinds = names.flatMap((name) => sources.map(({ source, open }) => ({ name, source, tokenizer: open(name) })));

describe('tokenizer', () => {
  test.each(kinds)('$name from $source: ids and texts are those of transformers', ({ name, tokenizer }) => {
    const { cases, bos, eos } = casesOf(name);
    const got = cases.map(({ text, ids }) => ({
      text,
      ids: tokenizer.encode(text),
      plain: tokenizer.encode(text, { special: false }),
      decoded: tokenizer.decode(ids),
      skipped: tokenizer.decode(ids, { skipSpecial: true }),
    }));
    expect(got).toEqual(cases.map(({ text, ids, plain, decoded, skipped }) => ({ text, ids, plain, decoded, skipped })));
    expect([tokenizer.special.bos, tokenizer.special.eos]).toEqual([bos, eos]);
    expect(tokenizer.special.endOfTurn).toContain(eos);
  });

  test.each(kinds)('$name from $source: a stream gives the text of the whole, and never half a character', ({ name, tokenizer }) => {
    for (const { ids, decoded, skipped } of casesOf(name).cases) {
      for (const [skipSpecial, whole] of [
        [false, decoded],
        [true, skipped],
      ] as const) {
        const stream = tokenizer.decodeStream({ skipSpecial });
        const pushed = ids.map((id) => stream.push(id));
        expect(pushed.join('') + stream.end()).toBe(whole);
        expect(pushed.filter((part) => part.includes('\ufffd') || /[\ud800-\udbff]$/.test(part))).toEqual([]);
      }
    }
  });

  test.each(kinds)('$name from $source: any text comes back whole, and its tokens cover it', ({ tokenizer }) => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        // U+2581 is SentencePiece's space; a text that holds it comes back with spaces in its place, in every such tokenizer.
        fc.pre(!text.includes('▁'));
        const { ids, starts, ends } = tokenizer.encodeWithOffsets(text);
        expect(tokenizer.decode(ids)).toBe(text);
        expect(ids).toEqual(tokenizer.encode(text, { special: false }));
        expect([...starts].filter((start, i) => start > (i === 0 ? 0 : ends[i - 1]!))).toEqual([]);
        expect(ends.at(-1) ?? 0).toBe(text.length);
      }),
      { numRuns: 100 },
    );
  });

  test('the ends of turn are eos, those of generation_config.json and those known by name', () => {
    expect(
      tokenizerFromFolder(join(oracle, 'gemma3')).special.endOfTurn.map((id) => tokenizerFromFolder(join(oracle, 'gemma3')).tokenOf(id)),
    ).toEqual(['<eos>', '<end_of_turn>']);
    expect(tokenizerFromFolder(join(oracle, 'llama3')).special.endOfTurn).toEqual([4, 1]);
  });

  test.each(names)('%s: the files written for a GGUF tokenizer are a tokenizer of the same ids', (name) => {
    const files = tokenizerFiles({ ...metadata(name), 'tokenizer.chat_template': '{{ messages }}' });
    const path = join(folder, name);
    mkdirSync(path);
    for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
    const tokenizer = tokenizerFromFolder(path);
    expect(casesOf(name).cases.map(({ text }) => tokenizer.encode(text))).toEqual(casesOf(name).cases.map(({ ids }) => ids));
    expect([tokenizer.special.bos, tokenizer.special.eos, tokenizer.chatTemplate]).toEqual([
      casesOf(name).bos,
      casesOf(name).eos,
      '{{ messages }}',
    ]);
  });

  test('open takes a folder, a GGUF file, or a folder with one', () => {
    const gguf = join(import.meta.dirname, '../oracle/llm/formats/gguf-llama.gguf');
    expect(openTokenizer(join(oracle, 'smollm')).special.eos).toBe(casesOf('smollm').eos);
    mkdirSync(join(folder, 'lone'));
    copyFileSync(gguf, join(folder, 'lone', 'model.gguf'));
    expect([gguf, join(folder, 'lone')].map((path) => openTokenizer(path).tokenOf(3))).toEqual(['token3', 'token3']);
    expect(() => openTokenizer(join(folder, 'nowhere'))).toThrow(/^tokenizer: not found/);
  });

  const folder = mkdtempSync(join(tmpdir(), 'clinfuse-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('a folder without a tokenizer, or with a broken one, is refused in one line', () => {
    expect(() => tokenizerFromFolder(folder)).toThrow(/^tokenizer: not found: .*tokenizer.json; copy tokenizer.json/);
    writeFileSync(join(folder, 'tokenizer.model'), '');
    expect(() => tokenizerFromFolder(folder)).toThrow(/has only tokenizer.model/);
    writeFileSync(join(folder, 'tokenizer.json'), '{');
    expect(() => tokenizerFromFolder(folder)).toThrow(/^tokenizer: not JSON/);
    writeFileSync(join(folder, 'tokenizer.json'), '{}');
    expect(() => tokenizerFromFolder(folder)).toThrow(/no vocabulary/);
  });

  test.each([
    { name: 'no tokens', values: {}, fault: /holds none/ },
    { name: 'another kind', values: { tokens: ['a'], model: 'bert' }, fault: /kind not supported: bert; supported in GGUF: gpt2, llama/ },
    { name: 'another word pattern', values: { tokens: ['a'], model: 'gpt2', pre: 'tekken' }, fault: /word pattern not supported: tekken/ },
  ])('GGUF with $name is refused by name', ({ values, fault }) => {
    expect(() => tokenizerFromGguf(prefixed(values))).toThrow(fault);
  });
});
