import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { ggufMetadata, readGguf } from '../../src/models/gguf.ts';
import { ggufConfig } from '../../src/models/gguf-config.ts';

const whole = join(import.meta.dirname, '../oracle/llm/formats/gguf-llama.gguf');
const scratch = mkdtempSync(join(tmpdir(), 'clinfuse-gguf-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** The oracle file changed, as a file of its own. */
function changed(change: (bytes: Buffer) => Buffer): string {
  const path = join(scratch, 'case.gguf');
  writeFileSync(path, change(readFileSync(whole)));
  return path;
}

const overwritten = (bytes: Buffer, at: number, value: number) => {
  bytes.writeUInt32LE(value, at);
  return bytes;
};

/** Sets the type number behind a tensor's name and two sides. */
const retype = (bytes: Buffer, name: string, type: number) => overwritten(bytes, bytes.indexOf(name) + name.length + 4 + 16, type);

const metadata = ggufMetadata(whole);
const model = { metadata, hasHead: true, vocabSize: 48 };

describe('gguf', () => {
  test('metadata is a plain record: numbers, texts and arrays', () => {
    expect(metadata['general.architecture']).toBe('llama');
    expect(metadata['llama.attention.head_count_kv']).toBe(2);
    expect(metadata['tokenizer.ggml.tokens']).toHaveLength(48);
    expect(metadata['tokenizer.ggml.tokens']).toContain('token47');
  });

  test('a tensor is told by name, shape, type and place', () => {
    const { tensors } = readGguf(whole);
    expect(tensors.find(({ name }) => name === 'blk.0.attn_k.weight')).toMatchObject({ shape: [16, 32], type: 'Q4_1', bytes: 16 * 20 });
  });

  test.each([0, 3, 20, 100, 1000, 2000, 3000])('a file cut off in its header after %i bytes is refused', (length) => {
    expect(() => readGguf(changed((bytes) => bytes.subarray(0, length)))).toThrow(/^gguf: case.gguf: truncated: .*; download it again$/);
  });

  test.each([
    { fault: 'data cut off', change: (bytes: Buffer) => bytes.subarray(0, -100), says: /truncated: [\w.]+ ends at byte \d+ of \d+/ },
    { fault: 'another file', change: () => Buffer.from('PK and a lot more'), says: 'does not begin with GGUF; is it a GGUF file?' },
    {
      fault: 'version 1',
      change: (bytes: Buffer) => overwritten(bytes, 4, 1),
      says: 'version not supported: 1; supported: 2 and 3',
    },
    {
      fault: 'too many entries',
      change: (bytes: Buffer) => overwritten(bytes, 8, 2 ** 31),
      says: 'truncated: 2147483648 entries announced',
    },
    {
      fault: 'Q2_K',
      change: (bytes: Buffer) => retype(bytes, 'blk.0.attn_q.weight', 10),
      says: 'type not supported: Q2_K of blk.0.attn_q.weight; supported: F32',
    },
    {
      fault: 'a type unheard of',
      change: (bytes: Buffer) => retype(bytes, 'blk.0.attn_q.weight', 99),
      says: 'type not supported: 99 of blk.0.attn_q.weight',
    },
    {
      fault: 'rows that do not divide',
      change: (bytes: Buffer) => retype(bytes, 'blk.0.attn_q.weight', 12),
      says: 'rows do not divide into Q4_K blocks',
    },
    {
      fault: 'an overlap',
      change: (bytes: Buffer) => retype(bytes, 'blk.0.attn_q.weight', 0),
      says: 'tensors overlap: blk.0.attn_q.weight and ',
    },
  ])('$fault is refused', ({ change, says }) => {
    expect(() => readGguf(changed(change))).toThrow(says);
  });
});

describe('gguf config', () => {
  test('frequency divisors of Llama 3.1 become its scaling, and any others are refused', () => {
    expect(ggufConfig({ ...model, frequencyDivisors: Float32Array.of(1, 1, 1, 1) }).rope.scaling).toEqual({ kind: 'none' });
    const wrong = { ...model, frequencyDivisors: Float32Array.of(2, 3, 5, 7) };
    expect(() => ggufConfig(wrong)).toThrow('gguf: rope_freqs.weight: not the scaling of Llama 3.1: entry 0 is 2');
  });

  test.each([
    {
      fault: 'another architecture',
      change: { 'general.architecture': 'qwen3' },
      says: 'architecture not supported: qwen3; supported: llama, gemma3',
    },
    { fault: 'experts', change: { 'llama.expert_count': 8 }, says: 'architecture not supported: a mixture of experts' },
    {
      fault: 'a count for each layer',
      change: { 'llama.attention.head_count': [4, 4] },
      says: 'gguf: attention.head_count: not one number',
    },
    { fault: 'another scaling', change: { 'llama.rope.scaling.type': 'yarn' }, says: 'config: rope scaling: not supported: yarn' },
  ])('$fault is refused', ({ change, says }) => {
    expect(() => ggufConfig({ ...model, metadata: { ...metadata, ...change } })).toThrow(says);
  });

  test('stop tokens are those the file names and those that end a turn', () => {
    const tokens = ['a', '<|eot_id|>', 'b', '<end_of_turn>'];
    expect(ggufConfig({ ...model, metadata: { ...metadata, 'tokenizer.ggml.tokens': tokens } }).eosTokenIds).toEqual([2, 1, 3]);
  });
});
