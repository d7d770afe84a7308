import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';

import { UserError } from '../../base/errors.ts';
import { type ChatMessage, chatTemplateOf } from '../../models/chat-template.ts';
import type { Tokenizer } from '../../models/tokenizer.ts';

/** What a model is to answer: a text (one turn of the user's, unless raw) or a chat. */
export type Prompt = string | readonly ChatMessage[];

const messages = z.array(z.object({ role: z.string().min(1), content: z.string() })).min(1);
const lineSchema = z.union([
  z.string().min(1),
  z.looseObject({ messages }).transform((line) => line.messages),
  z.looseObject({ prompt: z.string().min(1) }).transform((line) => line.prompt),
]);

/**
 * Reads prompts, one a line: a JSON text, `{"prompt": "..."}` or `{"messages": [{"role", "content"}, ...]}`.
 *
 * @throws UserError `prompts.missing`, `prompts.line`: the number of the line, never its words
 */
export function readPrompts(file: string): readonly Prompt[] {
  if (!existsSync(file)) throw new UserError('prompts.missing', `prompts: file not found: ${file}; name a .jsonl file`);
  const lines = readFileSync(file, 'utf8')
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/);
  const found = lines.flatMap((line, i) => (line.trim() === '' ? [] : [readLine(line, `${file}, line ${i + 1}`)]));
  if (found.length === 0) throw new UserError('prompts.missing', `prompts: no line in ${file}; write one prompt a line`);
  return found;
}

function readLine(line: string, place: string): Prompt {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new UserError('prompts.line', `prompts: not JSON: ${place}; write {"prompt": "..."} on each line`);
  }
  const parsed = lineSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new UserError('prompts.line', `prompts: neither prompt nor messages: ${place}; write {"prompt": "..."} or {"messages": [...]}`);
}

/**
 * A prompt as tokens: by the model's chat template, up to where its answer begins; raw texts as they are, with bos where the model has it.
 *
 * @throws UserError `chat.template`, `prompts.raw` for a chat that is to be raw
 */
export function encodePrompt(prompt: Prompt, { tokenizer, isRaw }: { readonly tokenizer: Tokenizer; readonly isRaw: boolean }): number[] {
  if (isRaw) {
    if (typeof prompt === 'string') return tokenizer.encode(prompt);
    throw new UserError('prompts.raw', 'prompts: a chat needs the chat template; leave out --raw, or give texts');
  }
  if (tokenizer.chatTemplate === undefined) {
    throw new UserError('chat.template', 'generate: the model has no chat template; say --raw to continue the text as it is');
  }
  const chat = typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : prompt;
  return tokenizer.encode(chatTemplateOf(tokenizer).render(chat, { addGenerationPrompt: true }), { special: false });
}
