import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { chatTemplateOf } from '../../src/models/chat-template.ts';
import { tokenizerFromFolder } from '../../src/models/tokenizer.ts';
import type { Row, RowForm } from '../../src/training/dataset.ts';
import { type ExampleOptions, makeExamples } from '../../src/training/examples.ts';

const oracle = join(import.meta.dirname, '../oracle/llm');
const tokenizer = tokenizerFromFolder(join(oracle, 'tokenizer/llama3'));
const template = chatTemplateOf({ ...tokenizer, chatTemplate: readFileSync(join(oracle, 'chat/llama3.jinja'), 'utf8') });
const labels = ['no', 'yes', 'maybe'];
const row = (form: RowForm): Row => ({ ...form, place: 'rows.jsonl row 5' });
const make = (form: RowForm, options: Partial<ExampleOptions> = {}) =>
  makeExamples([row(form)], { tokenizer, template, labels, contextLength: 64, ...options });
const q = { role: 'user', content: 'fever?' };
const a = { role: 'assistant', content: 'yes' };

/** What is read, and of it what is learned. */
function shown(form: RowForm): readonly string[] {
  const [example] = make(form).examples;
  if (example?.kind !== 'causal') return [tokenizer.decode(example!.ids)];
  return [tokenizer.decode(example.ids), tokenizer.decode(example.ids.filter((_, i) => example.mask[i]))];
}

describe('examples', () => {
  test('a text is learned whole, between bos and eos', () => {
    expect(shown({ kind: 'text', text: 'The heart' })).toEqual(['<|begin_of_text|>The heart<|eot_id|>', 'The heart<|eot_id|>']);
  });

  test('of a prompt and its completion the completion is learned, and the end', () => {
    expect(shown({ kind: 'pair', prompt: 'The heart', completion: ' beats' })).toEqual([
      '<|begin_of_text|>The heart beats<|eot_id|>',
      ' beats<|eot_id|>',
    ]);
  });

  test('bos and eos that the text has already are not put twice', () => {
    const text = '<|begin_of_text|>The heart<|eot_id|>';
    expect(shown({ kind: 'text', text })[0]).toBe(text);
  });

  test('of a chat all answers are learned, or those of its completion', () => {
    const messages = [q, a, q, a];
    expect(shown({ kind: 'chat', messages, from: 0 })[1]).toBe('yes<|eot_id|>yes<|eot_id|>');
    expect(shown({ kind: 'chat', messages, from: 3 })[1]).toBe('yes<|eot_id|>');
  });

  test.each([
    { label: 1, id: 1 },
    { label: 'maybe', id: 2 },
    { label: '0', id: 0 },
  ])('label $label is class $id', ({ label, id }) => {
    expect(make({ kind: 'class', input: 'The heart', label }).examples[0]).toMatchObject({ kind: 'class', label: id });
  });

  test('a chat to classify is written by the template, once', () => {
    expect(shown({ kind: 'class', input: [q], label: 0 })).toEqual([
      '<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nfever?<|eot_id|>',
    ]);
  });

  test.each([
    {
      name: 'a label out of range',
      form: { kind: 'class', input: 'x', label: 3 },
      fault: /^dataset: label out of range: 3 in rows.jsonl row 5; the model has: 0 no, 1 yes, 2 maybe$/,
    },
    { name: 'a negative label', form: { kind: 'class', input: 'x', label: -1 }, fault: /label out of range: -1/ },
    {
      name: 'a name that is none',
      form: { kind: 'class', input: 'x', label: 'secret' },
      fault: /^dataset: label not known in rows.jsonl row 5; the model has: 0 no/,
    },
    {
      name: 'a chat without an answer',
      form: { kind: 'chat', messages: [q], from: 0 },
      fault: /^dataset: nothing to learn in rows.jsonl row 5/,
    },
    {
      name: 'a text longer than the context',
      form: { kind: 'text', text: 'secret '.repeat(40) },
      fault: /longer than the context: \d+ tokens in rows.jsonl row 5; at most 64/,
    },
  ] as { name: string; form: RowForm; fault: RegExp }[])('$name is refused with file and row', ({ form, fault }) => {
    expect(() => make(form)).toThrow(fault);
  });

  test('a chat that the template refuses, or a model without one, names the row', () => {
    const gemma = chatTemplateOf({ ...tokenizer, chatTemplate: readFileSync(join(oracle, 'chat/gemma3.jinja'), 'utf8') });
    expect(() => make({ kind: 'chat', messages: [a, q], from: 0 }, { template: gemma })).toThrow(
      /^dataset: rows.jsonl row 5: chat template: refused/,
    );
    expect(() => make({ kind: 'chat', messages: [q, a], from: 0 }, { template: undefined })).toThrow(
      /row 5: chat template: the model has none/,
    );
  });

  test('truncation cuts the end, and counts what lost all there was to learn', () => {
    const cut = make({ kind: 'text', text: 'word '.repeat(100) }, { truncate: true });
    expect([cut.truncated, cut.dropped, cut.examples[0]!.ids.length]).toEqual([1, 0, 64]);
    const lost = make({ kind: 'pair', prompt: 'word '.repeat(100), completion: 'x' }, { truncate: true });
    expect([lost.truncated, lost.dropped, lost.examples.length]).toEqual([1, 1, 0]);
    const sorted = make({ kind: 'class', input: 'word '.repeat(100), label: 0 }, { truncate: true });
    expect(sorted.examples[0]!.ids.length).toBe(64);
  });
});
