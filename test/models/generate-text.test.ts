import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type Decoder, openDecoder } from '../../src/models/decoder.ts';
import { generateTexts, streamTexts } from '../../src/models/generate-text.ts';
import type { LanguageModel } from '../../src/models/language-model.ts';
import { makeTokenizer } from '../../src/models/tokenizer.ts';
import { runnable } from './tiny-models.ts';

const root = resolve(import.meta.dirname, '..', 'oracle', 'llm', 'generate');
const { greedy } = JSON.parse(readFileSync(join(root, 'oracle.json'), 'utf8')) as {
  readonly greedy: { readonly llama: { readonly prompts: readonly number[][]; readonly plain: readonly number[][] } };
};

/** One letter for each of the tiny model's 64 tokens. */
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const tokenizer = makeTokenizer(
  {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: Object.fromEntries([...letters].map((letter, id) => [letter, id])), merges: [] },
  } as unknown as Parameters<typeof makeTokenizer>[0],
  {},
);
const spell = (ids: readonly number[]): string => ids.map((id) => letters[id]).join('');

const prompts = greedy.llama.prompts.map(spell);
const texts = greedy.llama.plain.map(spell);
const options = { tokenizer, maxNewTokens: 16, stopTokens: [] };

let model: LanguageModel;
let decoder: Decoder;
beforeAll(async () => {
  model = await runnable(join(root, 'llama'));
  decoder = openDecoder(model);
});
afterAll(async () => {
  await decoder.close();
  await model.close();
});

describe('text to text', () => {
  test('gives the texts of transformers, how many tokens they have and how fast they came', async () => {
    const { texts: found, tokensPerSecond } = await generateTexts(decoder, prompts, options);
    expect(found).toEqual(texts.map((text) => ({ text, tokens: 16, end: 'length' })));
    expect(tokensPerSecond).toBeGreaterThan(0);
  });

  test('ends before a stop string of several tokens, and other texts go on', async () => {
    const text = texts[3]!;
    const { texts: found } = await generateTexts(decoder, prompts, { ...options, stopStrings: [text.slice(4, 7), 'never'] });
    expect(found[3]).toEqual({ text: text.slice(0, 4), tokens: 7, end: 'stop' });
    expect(found[1]!.text).toBe(texts[1]);
  });

  test('holds back what may begin a stop string, and gives it when it did not', async () => {
    const text = texts[3]!;
    const parts: string[] = [];
    const stopStrings = [`${text.slice(2, 4)}?`, `${text.slice(14)}?`];
    for await (const part of streamTexts(decoder, [prompts[3]!], { ...options, stopStrings })) parts.push(part.text);
    expect(parts.slice(1, 5)).toEqual([text[1], '', '', text.slice(2, 5)]);
    expect(parts.join('')).toBe(text);
  });

  test('leaves the stop token out of the text', async () => {
    const { texts: found } = await generateTexts(decoder, [prompts[3]!], { ...options, stopTokens: [greedy.llama.plain[3]![4]!] });
    expect(found).toEqual([{ text: texts[3]!.slice(0, 4), tokens: 5, end: 'stop' }]);
  });

  test('refuses an empty stop string', async () => {
    await expect(generateTexts(decoder, prompts, { ...options, stopStrings: [''] })).rejects.toThrow('generate: empty stop string');
  });
});
