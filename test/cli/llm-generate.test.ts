import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { letteredModel, lineTemplate } from '../apps/llm/lettered-model.ts';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-generate-'));
const at = (name: string) => join(home, name);
afterAll(() => rmSync(home, { recursive: true, force: true }));
beforeAll(() => {
  letteredModel('gemma3', at('model'), lineTemplate);
  letteredModel('gemma3', at('plain'));
});

function generate(words: readonly string[], input?: string) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'llm', 'generate', ...words, '--threads', '1'], {
    cwd: home,
    encoding: 'utf8',
    ...(input === undefined ? {} : { input }),
  });
  return { status, stdout, stderr };
}
const ask = ['--model', 'model', '--prompt', 'what is it', '--max-new-tokens', '12'];

describe('llm generate', () => {
  test('tells machines the text, its tokens and the speed, and people the text alone, be the prompt an option or standard input', () => {
    const told = JSON.parse(generate([...ask, '--json', '--quiet']).stdout) as { readonly text: string };
    expect(Object.keys(told)).toEqual(['text', 'tokens', 'tokensPerSecond']);
    expect(told).toMatchObject({ tokens: 12, tokensPerSecond: expect.any(Number) });
    const words = ask.map((word) => (word === 'what is it' ? '-' : word));
    const { stdout, stderr } = generate(words, 'what is it\n');
    expect(stdout).toBe(`${told.text}\n`);
    expect(stderr).toMatch(/12 tokens, [\d.]+ tokens\/s\n$/);
  });

  test('answers a file of prompts, under their numbers or as JSON', () => {
    writeFileSync(at('p.jsonl'), '{"prompt": "what is it"}\n"how"\n');
    const words = ['--model', 'model', '--prompts', 'p.jsonl', '--max-new-tokens', '3', '--quiet'];
    const { answers } = JSON.parse(generate([...words, '--json']).stdout) as { answers: { text: string }[] };
    expect(answers).toEqual([0, 1].map(() => ({ text: expect.any(String), tokens: 3, end: 'length' })));
    expect(generate(words).stdout).toBe(`--- 1 ---\n${answers[0]!.text.trim()}\n\n--- 2 ---\n${answers[1]!.text.trim()}\n`);
  });

  test.each<[string, string[], RegExp]>([
    ['neither prompt nor prompts', ['--model', 'model'], /name either --prompt or --prompts/],
    ['a model without chat template', ['--model', 'plain', '--prompt', 'x'], /generate: the model has no chat template; say --raw/],
    ['a text longer than the context', ['--model', 'model', '--raw', '--prompt', 'abc'.repeat(30)], /text longer than the context/],
    ['no such file of prompts', ['--model', 'model', '--prompts', 'none.jsonl'], /prompts: file not found: none\.jsonl/],
  ])('%s: one line, exit 2', (_, words, says) => {
    const { status, stdout, stderr } = generate([...words, '--quiet']);
    expect({ stderr, status, stdout }).toMatchObject({ status: 2, stdout: '', stderr: expect.stringMatching(says) });
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
