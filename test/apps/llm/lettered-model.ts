import { cpSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const tiny = (name: string) => resolve(import.meta.dirname, '../../oracle/llm/models', name);

/** Each message on a line of its own, the role before it. */
export const lineTemplate =
  '{% for message in messages %}{{ message.role }} {{ message.content }}\n{% endfor %}{% if add_generation_prompt %}A{% endif %}';

/** Copies a tiny model, which has no tokenizer, and gives it one of 64 letters, a token each. */
export function letteredModel(name: string, folder: string, chatTemplate?: string): string {
  cpSync(tiny(name), folder, { recursive: true });
  const letters = [...'ĠĊ.,?abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123'];
  const special = ['<s>', '</s>', '<pad>'].map((content, id) => ({ id, content, special: true, normalized: false }));
  const vocab = Object.fromEntries([...special.map(({ content }) => content), ...letters].map((token, id) => [token, id]));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const model = { type: 'BPE', vocab, merges: [] };
  const json = { version: '1.0', added_tokens: special, normalizer: null, pre_tokenizer: byteLevel, decoder: byteLevel, model };
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(json));
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ bos_token: '<s>', eos_token: '</s>' }));
  if (chatTemplate !== undefined) writeFileSync(join(folder, 'chat_template.jinja'), chatTemplate);
  return folder;
}
