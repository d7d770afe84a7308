import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type AnswerOptions, answer } from '../../../src/apps/llm/generate.ts';
import { mergeAdapter } from '../../../src/apps/llm/merge.ts';
import { letteredModel, lineTemplate, tiny } from './lettered-model.ts';

const home = mkdtempSync(join(tmpdir(), 'clinfuse-answer-'));
const model = join(home, 'gemma3');
const adapter = join(tiny('gemma3'), 'adapter');
beforeAll(() => void letteredModel('gemma3', model, lineTemplate));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const ask = (more: Partial<AnswerOptions> = {}) => answer({ model, prompts: ['what is it'], maxNewTokens: 12, threads: 1, ...more });
const textOf = async (more: Partial<AnswerOptions> = {}) => (await ask(more)).answers[0]!.text;

describe('answers', () => {
  test('come in pieces that make up the text', async () => {
    const pieces: string[] = [];
    const { answers, tokens, tokensPerSecond } = await ask({ onText: (_, piece) => void pieces.push(piece) });
    expect(answers).toEqual([{ text: pieces.join(''), tokens: 12, end: 'length' }]);
    expect(pieces.length).toBeGreaterThan(1);
    expect(tokens).toBe(12);
    expect(tokensPerSecond).toBeGreaterThan(0);
  });

  test('differ between raw and chat', async () => {
    expect(await textOf({ isRaw: true })).not.toBe(await textOf());
  });

  test('are drawn by a seed', async () => {
    const drawn = (seed: number) => textOf({ temperature: 1.5, seed });
    expect(await drawn(3)).toBe(await drawn(3));
    expect(await drawn(4)).not.toBe(await drawn(3));
  });

  test('end before a stop text', async () => {
    const text = await textOf();
    const stop = text.slice(4, 6);
    expect((await ask({ stop: [stop] })).answers[0]).toMatchObject({ text: text.slice(0, text.indexOf(stop)), end: 'stop' });
  });

  test('to many prompts are those to each alone', async () => {
    const prompts = ['what is it', 'how', [{ role: 'user', content: 'why' }]];
    const { answers } = await ask({ prompts, rows: 2 });
    for (const [i, prompt] of prompts.entries()) expect(answers[i]!.text).toBe(await textOf({ prompts: [prompt] }));
  });

  test('with an adapter are those of the model it was merged into', async () => {
    const merged = join(home, 'merged');
    await mergeAdapter({ model, adapter, out: merged });
    expect(await textOf({ adapter })).toBe(await textOf({ model: merged }));
    expect(await textOf({ adapter })).not.toBe(await textOf());
  });

  test('go as far as the context reaches where nothing is said', async () => {
    const { answers } = await ask({ maxNewTokens: undefined, isRaw: true });
    expect(answers[0]!.tokens).toBeLessThanOrEqual(64 - 10);
    await expect(ask({ prompts: ['abc'.repeat(30)], isRaw: true })).rejects.toThrow(/text longer than the context/);
  });

  test.each<[string, Partial<AnswerOptions>, RegExp]>([
    ['a model without tokenizer', { model: tiny('gemma3') }, /tokenizer: not found: /],
    ['a classifier', { model: tiny('gemma3-class') }, /generate: is a classifier: /],
    ['an adapter for another base', { adapter: join(tiny('llama'), 'adapter') }, /adapter: /],
    ['a temperature below zero', { temperature: -1 }, /temperature out of range: -1/],
  ])('%s is refused', async (_, more, says) => {
    await expect(ask(more)).rejects.toThrow(says);
  });
});
