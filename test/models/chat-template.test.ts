import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { type ChatMessage, chatTemplate, chatTemplateOf } from '../../src/models/chat-template.ts';
import { encodeChat } from '../../src/models/encode-chat.ts';
import { tokenizerFromFolder } from '../../src/models/tokenizer.ts';

const oracle = join(import.meta.dirname, '../oracle/llm');
type Row = { readonly text: string; readonly prompt: string; readonly ids: number[]; readonly mask: number[] };
const { chats, models } = JSON.parse(readFileSync(join(oracle, 'chat/chats.json'), 'utf8')) as {
  readonly chats: ChatMessage[][];
  readonly models: Record<'llama3' | 'gemma3' | 'smollm', Row[]>;
};

const ends = { llama3: '<|eot_id|>', gemma3: '<end_of_turn>', smollm: '<|im_end|>' };
const open = (name: keyof typeof models, kind: '' | '-marked') => {
  const tokenizer = tokenizerFromFolder(join(oracle, 'tokenizer', name));
  const chatTemplate = readFileSync(join(oracle, 'chat', `${name}${kind}.jinja`), 'utf8');
  return { tokenizer, template: chatTemplateOf({ ...tokenizer, chatTemplate }) };
};
const kinds = (['llama3', 'gemma3', 'smollm'] as const).flatMap((name) => (['', '-marked'] as const).map((kind) => ({ name, kind })));

describe('chat template', () => {
  test.each(kinds)('$name$kind: texts, tokens and masks are those of transformers', ({ name, kind }) => {
    const { tokenizer, template } = open(name, kind);
    chats.forEach((messages, i) => {
      const want = models[name][i]!;
      expect(template.render(messages)).toBe(want.text);
      expect(template.render(messages, { addGenerationPrompt: true })).toBe(want.prompt);
      const { ids, mask } = encodeChat(messages, { tokenizer, template });
      expect({ ids, mask: [...mask] }).toEqual({ ids: want.ids, mask: want.mask });
    });
  });

  // Letters that templates, marks and trimming care about, put together at will.
  const bits = fc.constantFrom(
    '\ue0f0',
    '\ue0f1',
    '\ue0f0\ue0f1',
    '/',
    ' ',
    '\n',
    'a',
    'yes',
    '<|eot_id|>',
    '<end_of_turn>',
    '{% generation %}',
    '{{',
    '}}',
    'user',
    '😀',
  );
  const content = fc.array(bits, { maxLength: 6 }).map((parts) => parts.join(''));
  const turns = fc.array(fc.tuple(content, content), { minLength: 1, maxLength: 4 });
  const system = fc.option(content, { nil: undefined });
  const chat = fc.tuple(system, turns).map(([first, pairs]) => [
    ...(first === undefined ? [] : [{ role: 'system', content: first }]),
    ...pairs.flatMap(([question, answer]) => [
      { role: 'user', content: question },
      { role: 'assistant', content: answer },
    ]),
  ]);

  test.each(kinds)('$name$kind: each span is one answer and the end of its turn, whatever the texts hold', ({ name, kind }) => {
    const { template } = open(name, kind);
    fc.assert(
      fc.property(chat, fc.nat(8), (messages, from) => {
        const { text, spans } = template.renderMasked(messages, { from });
        const answers = messages.flatMap(({ role, content }, i) => (role === 'assistant' && i >= from ? [content] : []));
        const written = name === 'smollm' ? answers : answers.map((answer) => answer.trim());
        expect(spans.map(({ start, end }) => text.slice(start, end))).toEqual(written.map((answer) => answer + ends[name]));
        expect(text).toBe(template.render(messages));
      }),
      { numRuns: 200 },
    );
  });

  test.each(['llama3', 'gemma3', 'smollm'] as const)('%s: with and without markers the same tokens count', (name) => {
    const [plain, marked] = [open(name, ''), open(name, '-marked')];
    fc.assert(
      fc.property(chat, (messages) => {
        expect(encodeChat(messages, plain)).toEqual(encodeChat(messages, marked));
      }),
      { numRuns: 60 },
    );
  });

  const tokens = { bosToken: '<s>', eosToken: '</s>', endOfTurn: ['</s>'] };
  const talk = [
    { role: 'user', content: 'q' },
    { role: 'assistant', content: ' An answer ' },
  ];
  const each = (body: string) => `{% for message in messages %}${body}{% endfor %}`;

  test('the space before an end of turn belongs to it', () => {
    const { text, spans } = chatTemplate(each("{{ bos_token + message.content.strip() + ' ' + eos_token }}"), tokens).renderMasked(talk);
    expect(spans.map(({ start, end }) => text.slice(start, end))).toEqual(['An answer </s>']);
  });

  test('no template can tell the day, so the same chat always gives the same text', () => {
    const dated = "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}26 Jul 2024{% endif %}";
    expect(chatTemplate(dated, tokens).render(talk)).toBe('26 Jul 2024');
  });

  test.each([
    { name: 'rewrites answers', source: each('{{ message.content | upper }}'), fault: /it rewrites an answer; give it/ },
    { name: 'drops answers', source: 'fixed', fault: /twice or not at all/ },
    { name: 'writes answers twice', source: each('{{ message.content + message.content }}'), fault: /twice or not at all/ },
    {
      name: 'looks into answers',
      source: `{% if 'An' in messages[1].content %}x{% endif %}${each('{{ message.content }}')}`,
      fault: /it changes what stands around/,
    },
    { name: 'has a marker without its end', source: each('{% generation %}{{ message.content }}'), fault: /not in pairs/ },
  ])('a template that $name gives no mask, and says so', ({ source, fault }) => {
    expect(() => chatTemplate(source, tokens).renderMasked(talk)).toThrow(fault);
  });

  test("a template's own refusal is the user's to mend, and a broken template too", () => {
    const { template } = open('gemma3', '');
    expect(() => template.render([talk[1]!])).toThrow(/^chat template: refused the chat: Conversation roles must alternate/);
    expect(() => chatTemplate('{% if %}', tokens)).toThrow(/^chat template: not understood/);
  });

  test('a model without a template is refused', () => {
    expect(() => chatTemplateOf(tokenizerFromFolder(join(oracle, 'tokenizer/llama3')))).toThrow(/^chat template: the model has none/);
  });
});
