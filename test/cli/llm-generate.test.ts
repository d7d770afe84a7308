import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const tiny = (name: string) => resolve(import.meta.dirname, '../oracle/llm/models', name);
const home = mkdtempSync(join(tmpdir(), 'clinfuse-generate-'));
const at = (name: string) => join(home, name);
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** A tokenizer of 64 letters, a token each, for models that came with none. */
function addTokenizer(folder: string, chatTemplate?: string): void {
  const letters = [...'ĠĊ.,?abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ012'];
  const special = ['<s>', '</s>', '<pad>'].map((content, id) => ({ id, content, special: true, normalized: false }));
  const vocab = Object.fromEntries([...special.map(({ content }) => content), ...letters].map((token, id) => [token, id]));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const model = { type: 'BPE', vocab, merges: [] };
  const json = { version: '1.0', added_tokens: special, normalizer: null, pre_tokenizer: byteLevel, decoder: byteLevel, model };
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(json));
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ bos_token: '<s>', eos_token: '</s>' }));
  if (chatTemplate !== undefined) writeFileSync(join(folder, 'chat_template.jinja'), chatTemplate);
}

beforeAll(() => {
  for (const name of ['llama', 'gemma3', 'llama-class']) cpSync(tiny(name), at(name), { recursive: true });
  addTokenizer(
    at('llama'),
    '{% for message in messages %}{{ message.role }} {{ message.content }}\n{% endfor %}{% if add_generation_prompt %}A{% endif %}',
  );
  addTokenizer(at('llama-class'));
  addTokenizer(at('gemma3'));
});

function generate(words: readonly string[], input?: string) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'llm', 'generate', ...words, '--threads', '1'], {
    cwd: home,
    encoding: 'utf8',
    ...(input === undefined ? {} : { input }),
  });
  return { status, stdout, stderr };
}
type Told = { readonly text: string; readonly tokens: number; readonly tokensPerSecond: number };
const json = (...words: string[]) => JSON.parse(generate([...words, '--json', '--quiet']).stdout) as Told;
const ask = ['--model', 'llama', '--prompt', 'what is it', '--max-new-tokens', '12'];

describe('llm generate', () => {
  test('tells machines the text, its tokens and the speed, and people the text alone', () => {
    const told = json(...ask);
    expect(Object.keys(told)).toEqual(['text', 'tokens', 'tokensPerSecond']);
    expect(told).toMatchObject({ tokens: 12, tokensPerSecond: expect.any(Number) });
    expect([...told.text].length).toBeGreaterThan(0);
    const { stdout, stderr } = generate(ask);
    expect(stdout).toBe(`${told.text}\n`);
    expect(stderr).toMatch(/12 tokens, [\d.]+ tokens\/s\n$/);
  });

  test('takes the prompt from standard input, so that it is on no command line', () => {
    const words = ask.map((word) => (word === 'what is it' ? '-' : word));
    expect(generate([...words, '--quiet'], 'what is it\n').stdout).toBe(`${json(...ask).text}\n`);
  });

  test('raw and chat are different prompts', () => {
    expect(json(...ask, '--raw').text).not.toBe(json(...ask).text);
  });

  test('a seed gives the same draws again, another one others', () => {
    const drawn = (seed: string) => json(...ask, '--temperature', '1.5', '--seed', seed).text;
    expect(drawn('3')).toBe(drawn('3'));
    expect(drawn('4')).not.toBe(drawn('3'));
  });

  test('ends before a stop text', () => {
    const { text } = json(...ask);
    const stop = text.slice(4, 6);
    expect(json(...ask, '--stop', stop).text).toBe(text.slice(0, text.indexOf(stop)));
  });

  test('many prompts are answered as each alone', () => {
    writeFileSync(at('p.jsonl'), ['{"prompt": "what is it"}', '"how"', '{"messages": [{"role": "user", "content": "why"}]}'].join('\n'));
    const many = generate(['--model', 'llama', '--prompts', 'p.jsonl', '--batch', '2', '--max-new-tokens', '12', '--json', '--quiet']);
    const { answers } = JSON.parse(many.stdout) as { answers: { text: string; tokens: number; end: string }[] };
    expect(answers.map(({ text }) => text)).toEqual(
      ['what is it', 'how', 'why'].map((prompt) => json('--model', 'llama', '--prompt', prompt, '--max-new-tokens', '12').text),
    );
    expect(answers[0]).toMatchObject({ tokens: 12, end: 'length' });
  });

  test('an adapter answers as the model it was merged into', () => {
    const adapter = join(tiny('llama'), 'adapter');
    const merge = ['llm', 'merge', '--model', 'llama', '--adapter', adapter, '--out', 'merged', '--quiet'];
    expect(spawnSync(process.execPath, [main, ...merge], { cwd: home }).status).toBe(0);
    const adapted = json(...ask, '--adapter', adapter).text;
    expect(adapted).toBe(json('--model', 'merged', ...ask.slice(2)).text);
    expect(adapted).not.toBe(json(...ask).text);
  });

  test.each<[string, string[], RegExp]>([
    ['neither prompt nor prompts', ['--model', 'llama'], /name either --prompt or --prompts/],
    ['a model without tokenizer', ['--model', tiny('llama'), '--prompt', 'x'], /tokenizer: not found: /],
    ['a model without chat template', ['--model', 'gemma3', '--prompt', 'x'], /generate: the model has no chat template; say --raw/],
    ['a classifier', ['--model', 'llama-class', '--prompt', 'x'], /generate: is a classifier: llama-class/],
    ['a text longer than the context', ['--model', 'gemma3', '--raw', '--prompt', 'abc'.repeat(30)], /text longer than the context/],
    ['a temperature below zero', [...ask, '--temperature', '-1'], /temperature out of range: -1/],
    ['no such file of prompts', ['--model', 'llama', '--prompts', 'none.jsonl'], /prompts: file not found: none\.jsonl/],
    ['an adapter for another base', [...ask, '--adapter', join(tiny('gemma3'), 'adapter')], /adapter: /],
  ])('%s: one line, exit 2', (_, words, says) => {
    const { status, stdout, stderr } = generate([...words, '--quiet']);
    expect({ stderr, status, stdout }).toMatchObject({ status: 2, stdout: '', stderr: expect.stringMatching(says) });
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
