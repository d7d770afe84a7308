import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { describe, expect, test } from 'vitest';

import { type Decoder, openDecoder } from '../../src/models/decoder.ts';
import { generate, generateAll } from '../../src/models/generate.ts';
import { type LanguageModel, languageModel } from '../../src/models/language-model.ts';
import { largestAt } from '../../src/models/logits.ts';
import { readAdapter } from '../../src/models/peft.ts';
import { storageOf } from '../../src/models/storage.ts';
import { logitsOf, runnable, tinyFolder } from './tiny-models.ts';

type Greedy = {
  readonly prompts: readonly (readonly number[])[];
  readonly plain: readonly (readonly number[])[];
  readonly penalty: readonly (readonly number[])[];
};
const root = resolve(import.meta.dirname, '..', 'oracle', 'llm', 'generate');
const { greedy } = JSON.parse(readFileSync(join(root, 'oracle.json'), 'utf8')) as {
  readonly greedy: Readonly<Record<'llama' | 'gemma3', Greedy>>;
};
const folders = { llama: join(root, 'llama'), gemma3: tinyFolder('gemma3') };

const settings = { maxNewTokens: 16, stopTokens: [] };
const idsOf = async (...all: Parameters<typeof generateAll>) => (await generateAll(...all)).map(({ ids }) => ids);

/** Opens a tiny model, uses it and closes it. */
async function using<T>(
  name: keyof typeof greedy,
  work: (decoder: Decoder, model: LanguageModel) => Promise<T>,
  { weights, policy = 'f32' }: { readonly weights?: 'packed' | 'stored'; readonly policy?: 'f32' | 'int8' | 'nf4' } = {},
): Promise<T> {
  const model = await runnable(folders[name], { storage: storageOf(policy) });
  const decoder = openDecoder(model, weights && { weights });
  try {
    return await work(decoder, model);
  } finally {
    await decoder.close();
    await model.close();
  }
}

describe.each(['llama', 'gemma3'] as const)('the tiny model %s', (name) => {
  const { prompts, plain, penalty } = greedy[name];

  test.each(['packed', 'stored'] as const)(
    'continues a batch of prompts of different length as transformers does each alone, weights %s',
    (weights) => using(name, async (decoder) => expect(await idsOf(decoder, prompts, settings)).toEqual(plain), { weights }),
  );

  test('and so with a repetition penalty', () =>
    using(name, async (decoder) => expect(await idsOf(decoder, prompts, { ...settings, repetitionPenalty: 1.3 })).toEqual(penalty)));

  test('gives the same text with fewer rows than prompts, and alone', () =>
    using(name, async (decoder) => {
      for (const rows of [1, 2, 3]) expect(await idsOf(decoder, prompts, { ...settings, rows })).toEqual(plain);
    }));
});

test.each(['int8', 'nf4'] as const)('weights kept as %s give the same text from their packed bytes as spelt out', async (policy) => {
  const { prompts } = greedy.llama;
  const texts = (weights: 'packed' | 'stored') => using('llama', (decoder) => idsOf(decoder, prompts, settings), { weights, policy });
  expect(await texts('stored')).toEqual(await texts('packed'));
});

// DoRA on gemma3; the other way is the whole text through the layers anew for every token.
test.each(['packed', 'stored'] as const)('an adapter is part of every token, weights %s', async (weights) => {
  const base = await runnable(folders.gemma3);
  const { adapter } = await readAdapter(join(folders.gemma3, 'adapter'), { base: { path: 'gemma3', config: base.config } });
  const model = languageModel(base.resident, { adapter, session: { threads: 1 } });
  const decoder = openDecoder(model, { weights });
  const prompt = greedy.gemma3.prompts[0]!;
  const expected: number[] = [];
  while (expected.length < 6) {
    const text = [...prompt, ...expected];
    const ids = Int32Array.from(text);
    const batch = { kind: 'causal', rows: 1, tokens: text.length, ids, lengths: Int32Array.of(text.length), targets: ids } as const;
    expected.push(largestAt((await logitsOf(model, batch)).slice(-model.config.vocabSize)));
  }
  expect(await idsOf(decoder, [prompt], { ...settings, maxNewTokens: 6 })).toEqual([expected]);
  expect(expected).not.toEqual(greedy.gemma3.plain[0]!.slice(0, 6));
  await decoder.close();
  await model.close();
  await base.close();
});

test('a prompt of more than 512 tokens goes through in parts, to the same end', async () => {
  const prompt = Array.from({ length: 700 }, (_, i) => 1 + ((i * 37) % 62));
  const base = await runnable(folders.llama);
  // The tiny model says it takes 64 tokens; nothing in it depends on that.
  const model = languageModel({ ...base.resident, config: { ...base.config, contextLength: 1024 } }, { session: { threads: 1 } });
  const ids = Int32Array.from(prompt);
  const batch = { kind: 'causal', rows: 1, tokens: 700, ids, lengths: Int32Array.of(700), targets: ids } as const;
  const next = largestAt((await logitsOf(model, batch)).slice(-model.config.vocabSize));
  const decoder = openDecoder(model);
  expect(await idsOf(decoder, [prompt], { ...settings, maxNewTokens: 1 })).toEqual([[next]]);
  await decoder.close();
  await model.close();
  await base.close();
});

test('a model whose heads the cached attention does not take is refused', async () => {
  const model = await runnable(tinyFolder('llama'));
  expect(() => openDecoder(model)).toThrow('generate: head size not supported: 4; must be a multiple of 8');
  await model.close();
});

describe('generation', () => {
  const [prompt, ...others] = greedy.llama.prompts as readonly [readonly number[], ...(readonly number[])[]];
  const text = greedy.llama.plain[0]!;

  test('ends after a stop token, which is the last given', () =>
    using('llama', async (decoder) => {
      const stop = text[5]!;
      const found = await generateAll(decoder, [prompt, ...others], { ...settings, stopTokens: [stop] });
      expect(found[0]).toEqual({ ids: text.slice(0, text.indexOf(stop) + 1), end: 'stop' });
    }));

  test('ends where the caller says so', () =>
    using('llama', async (decoder) => {
      const found = await generateAll(decoder, [prompt, ...others], {
        ...settings,
        isOver: ({ prompt: of, id }) => of === 0 && id === text[1],
      });
      expect(found.map(({ ids, end }) => [ids.length, end])).toEqual([
        [2, 'stop'],
        [16, 'length'],
        [16, 'length'],
        [16, 'length'],
      ]);
    }));

  test('draws the same tokens for a seed, whatever else is in the batch, and others for another', () =>
    using('llama', async (decoder) => {
      const options = { ...settings, temperature: 1, topK: 20, topP: 0.95 };
      const [alone] = await idsOf(decoder, [prompt], options);
      expect((await idsOf(decoder, [prompt, ...others], options))[0]).toEqual(alone);
      expect((await idsOf(decoder, [prompt], { ...options, seed: 1 }))[0]).not.toEqual(alone);
    }));

  test('stops when it is aborted', () =>
    using('llama', async (decoder) => {
      const controller = new AbortController();
      const seen: number[] = [];
      const run = async () => {
        for await (const { id } of generate(decoder, [prompt], { ...settings, signal: controller.signal })) {
          seen.push(id);
          if (seen.length === 3) controller.abort();
        }
      };
      await expect(run()).rejects.toThrow('aborted');
      expect(seen).toEqual(text.slice(0, 3));
    }));

  test.each([
    { fault: 'an empty prompt', prompts: [[5], []], options: {}, line: 'generate: text without tokens: number 2; give it a text' },
    {
      fault: 'a text beyond the context',
      prompts: [Array.from({ length: 60 }, () => 5)],
      options: { maxNewTokens: 10 },
      line: 'generate: text longer than the context: number 1 has 60 tokens, and 10 new ones are asked for; the model takes 64',
    },
    { fault: 'a token the model does not have', prompts: [[64]], options: {}, line: 'generate: no such token: 64; the model has 64' },
    {
      fault: 'a top-p of 0',
      prompts: [[5]],
      options: { topP: 0 },
      line: 'generate: top-p out of range: 0; must be above 0, up to 1 (all)',
    },
  ])('refuses $fault', ({ prompts, options, line }) =>
    using('gemma3', async (decoder) => {
      await expect(generateAll(decoder, prompts, { maxNewTokens: 4, ...options })).rejects.toThrow(line);
    }),
  );
});
