// Continue texts with a language model: several at once, token by token as they come.

import { join } from 'node:path';

import { generate, languageModel, loadResident, openDecoder, openModel } from '../src/index.ts';

// Random numbers in the shape of a Gemma 3, seven layers that see five tokens back or all. It came without a tokenizer, so its texts are
// numbers; with one, openTokenizer(path) gives encode and decode, and answer() does all of this at once.
const path = join(import.meta.dirname, '..', 'test', 'oracle', 'llm', 'models', 'gemma3');
const prompts = [
  [2, 17, 23, 5],
  [2, 40],
  [2, 9, 9, 31, 12, 60, 7],
];

const folder = await openModel(path);
const model = languageModel(await loadResident(folder));
const decoder = openDecoder(model);

const texts = prompts.map((ids) => ids.join(' '));
for await (const { prompt, id, end } of generate(decoder, prompts, { maxNewTokens: 10, temperature: 0.8, topP: 0.95, seed: 7 })) {
  texts[prompt] += ` ${id}`;
  if (end) console.log(`text ${prompt + 1} is over (${end}): ${texts[prompt]}`);
}

await decoder.close();
await model.close();
await folder.close();
