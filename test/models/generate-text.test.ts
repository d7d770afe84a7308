import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type Decoder, openDecoder } from '../../src/models/decoder.ts';
import { streamTexts, type TextOptions } from '../../src/models/generate-text.ts';
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

const { prompts } = greedy.llama;
const texts = greedy.llama.plain.map(spell);
const options = { tokenizer, maxNewTokens: 16, stopTokens: [] };

async function generateTexts(decoder: Decoder, given: readonly (readonly number[])[], settings: TextOptions) {
  const found = given.map(() => ({ text: '', tokens: 0, end: undefined as 'stop' | 'length' | undefined }));
  for await (const { prompt, text, end } of streamTexts(decoder, given, settings)) {
    const whole = found[prompt]!;
    whole.text += text;
    whole.tokens += 1;
    whole.end = end;
  }
  return found;
}

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

describe('generation as text', () => {
  test('gives the texts of transformers, a part for each token', async () => {
    expect(await generateTexts(decoder, prompts, options)).toEqual(texts.map((text) => ({ text, tokens: 16, end: 'length' })));
  });

  test('ends before a stop text of several tokens, and other texts go on', async () => {
    const text = texts[3]!;
    const found = await generateTexts(decoder, prompts, { ...options, stop: [text.slice(4, 7), 'never'] });
    expect(found[3]).toEqual({ text: text.slice(0, 4), tokens: 7, end: 'stop' });
    expect(found[1]!.text).toBe(texts[1]);
  });

  test('holds back what may begin a stop text, and gives it when it did not', async () => {
    const text = texts[3]!;
    const parts: string[] = [];
    const stop = [`${text.slice(2, 4)}?`, `${text.slice(14)}?`];
    for await (const part of streamTexts(decoder, [prompts[3]!], { ...options, stop })) parts.push(part.text);
    expect(parts.slice(1, 5)).toEqual([text[1], '', '', text.slice(2, 5)]);
    expect(parts.join('')).toBe(text);
  });

  test('leaves the stop token out of the text', async () => {
    const found = await generateTexts(decoder, [prompts[3]!], { ...options, stopTokens: [greedy.llama.plain[3]![4]!] });
    expect(found).toEqual([{ text: texts[3]!.slice(0, 4), tokens: 5, end: 'stop' }]);
  });

  test('refuses an empty stop text', async () => {
    await expect(generateTexts(decoder, prompts, { ...options, stop: [''] })).rejects.toThrow('generate: empty stop text');
  });
});
