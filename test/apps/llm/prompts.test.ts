import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { encodePrompt, readPrompts } from '../../../src/apps/llm/prompts.ts';
import { openTokenizer } from '../../../src/models/open-tokenizer.ts';

const oracle = resolve(import.meta.dirname, '../../oracle/llm');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-prompts-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

function prompts(text: string) {
  writeFileSync(join(home, 'p.jsonl'), text);
  return readPrompts(join(home, 'p.jsonl'));
}

describe('prompts', () => {
  test('are texts, prompts or chats, one a line', () => {
    const chat = [{ role: 'user', content: 'Hi' }];
    expect(prompts(`\uFEFF"One"\r\n\n{"prompt": "Two", "id": 7}\n${JSON.stringify({ messages: chat })}\n`)).toEqual(['One', 'Two', chat]);
  });

  test.each([
    ['', /no line in .*p\.jsonl/],
    ['"One"\nMrs Smith', /not JSON: .*p\.jsonl, line 2; write/],
    ['{"text": "Mrs Smith"}', /neither prompt nor messages: .*, line 1/],
    ['{"messages": []}', /neither prompt nor messages/],
  ])('%j is refused by line, without its words', (text, says) => {
    expect(() => prompts(text)).toThrow(says);
    expect(() => prompts(text)).not.toThrow(/Smith/);
  });

  test('become tokens by the chat template, up to where the answer begins, or raw', () => {
    const folder = join(home, 'smollm');
    cpSync(join(oracle, 'tokenizer/smollm'), folder, { recursive: true });
    const plain = openTokenizer(folder);
    expect(() => encodePrompt('Hi', { tokenizer: plain, isRaw: false })).toThrow(/no chat template; say --raw/);
    expect(encodePrompt('Hi', { tokenizer: plain, isRaw: true })).toEqual(plain.encode('Hi'));
    cpSync(join(oracle, 'chat/smollm.jinja'), join(folder, 'chat_template.jinja'));
    const tokenizer = openTokenizer(folder);
    const asked = tokenizer.decode(encodePrompt('Hi', { tokenizer, isRaw: false }));
    expect(asked).toMatch(/<\|im_start\|>user\nHi<\|im_end\|>\n<\|im_start\|>assistant\n$/);
    expect(() => encodePrompt([{ role: 'user', content: 'Hi' }], { tokenizer, isRaw: true })).toThrow(/a chat needs the chat template/);
  });
});
