import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { openSafetensors, readStored } from '../../src/models/safetensors.ts';
import { writeSafetensors, writeShards } from '../../src/models/write-safetensors.ts';

const scratch = mkdtempSync(join(tmpdir(), 'clinfuse-safetensors-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A file of this header and so many bytes of data. */
function fileOf(header: unknown, dataBytes: number): string {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const path = join(scratch, 'case.safetensors');
  writeFileSync(path, Buffer.concat([length, text, Buffer.alloc(dataBytes)]));
  return path;
}

const tensor = (start: number, end: number, more: object = {}) => ({
  dtype: 'F32',
  shape: [(end - start) / 4],
  data_offsets: [start, end],
  ...more,
});

describe('safetensors', () => {
  test.each([
    { fault: 'a file of five bytes', bytes: Buffer.from('hello'), says: 'truncated: 5 bytes; download or write it again' },
    { fault: 'a text file', bytes: Buffer.from('{"a": 1, "b": 2}'), says: 'is it a safetensors file?' },
    { fault: 'a header cut off', bytes: Buffer.from([80, 0, 0, 0, 0, 0, 0, 0, 123]), says: 'truncated: header of 80 bytes in a file of 9' },
  ])('$fault is refused', async ({ bytes, says }) => {
    const path = join(scratch, 'case.safetensors');
    writeFileSync(path, bytes);
    await expect(openSafetensors(path)).rejects.toThrow(says);
  });

  test.each([
    { fault: 'a header that is not JSON', header: '{"a": ', data: 0, says: 'header is not JSON: ' },
    { fault: 'a list', header: [], data: 0, says: 'header is not an object' },
    { fault: 'an unknown type', header: { a: tensor(0, 4, { dtype: 'Q4' }) }, data: 4, says: 'element type unknown: Q4 of a' },
    {
      fault: 'a missing part',
      header: { a: { dtype: 'F32', shape: [1] } },
      data: 4,
      says: 'header of a tensor is not {dtype, shape, data_offsets}: a',
    },
    { fault: 'a negative side', header: { a: tensor(0, 4, { shape: [-1] }) }, data: 4, says: 'is not {dtype, shape, data_offsets}: a' },
    { fault: 'data cut off', header: { a: tensor(0, 8) }, data: 4, says: 'truncated: a ends at byte 8 of 4' },
    {
      fault: 'a shape of another size',
      header: { a: tensor(0, 8, { shape: [3] }) },
      data: 8,
      says: 'size does not match shape: a is F32 [3] in 8 bytes',
    },
    { fault: 'an overlap', header: { a: tensor(0, 8), b: tensor(4, 12) }, data: 12, says: 'tensors overlap: a and b' },
    { fault: 'a gap', header: { a: tensor(0, 4), b: tensor(8, 12) }, data: 12, says: 'bytes of no tensor between a and b: 4' },
    { fault: 'bytes left over', header: { a: tensor(0, 4) }, data: 12, says: 'bytes of no tensor after a: 8' },
    {
      fault: 'a name given twice',
      header: `{"a\\u0062": ${JSON.stringify(tensor(0, 4))}, "c": {"d": {}}, "ab" : ${JSON.stringify(tensor(0, 4))}}`,
      data: 4,
      says: 'tensor named twice: ab',
    },
  ])('$fault is refused', async ({ header, data, says }) => {
    const opening = openSafetensors(fileOf(header, data));
    await expect(opening).rejects.toThrow(says);
    await expect(opening).rejects.toMatchObject({ name: 'UserError' });
  });

  test('a file that is not there is refused', async () => {
    await expect(openSafetensors(join(scratch, 'absent'))).rejects.toThrow('model: file not found: ');
  });

  test('whole numbers are not weights', async () => {
    const file = await openSafetensors(fileOf({ a: tensor(0, 8, { dtype: 'I64', shape: [1] }) }, 8));
    await expect(readStored(file, 'a')).rejects.toThrow('element type not supported: I64 of a; save the model as F32, F16 or BF16');
    await file.close();
  });

  test('what is written is read again, wide types first, header and tensors aligned', async () => {
    const path = join(scratch, 'written.safetensors');
    const half = Uint16Array.of(1, 2, 3);
    const single = Float32Array.of(0.5, -2);
    await writeSafetensors(path, [
      { entries: [{ name: 'half', type: 'BF16', shape: [3] }], read: () => [half] },
      {
        entries: [
          { name: 'byte', type: 'U8', shape: [1, 1] },
          { name: 'single', type: 'F32', shape: [2] },
        ],
        read: async () => [Uint8Array.of(7), single],
      },
      { entries: [{ name: 'none', type: 'F32', shape: [0, 4] }], read: () => [new Float32Array(0)] },
    ]);
    const file = await openSafetensors(path);
    expect([...file.tensors.keys()]).toEqual(['single', 'none', 'half', 'byte']);
    expect(await readStored(file, 'half')).toEqual({ format: 'bf16', shape: [3], data: half });
    expect(await readStored(file, 'single')).toEqual({ format: 'f32', shape: [2], data: single });
    expect(await file.readBytes('byte')).toEqual(Uint8Array.of(7));
    await file.close();
    const bytes = readFileSync(path);
    const header = Number(bytes.readBigUInt64LE());
    expect(header % 8).toBe(0);
    expect(JSON.parse(bytes.toString('utf8', 8, 8 + header)).__metadata__).toEqual({ format: 'pt' });
  });

  test('a write that fails leaves what was there', async () => {
    const path = join(scratch, 'kept.safetensors');
    const group = (value: number) => ({ entries: [{ name: 'a', type: 'F32' as const, shape: [1] }], read: () => [Float32Array.of(value)] });
    await writeSafetensors(path, [group(1)]);
    const failing = { ...group(2), read: () => Promise.reject(new Error('disk gone')) };
    await expect(writeSafetensors(path, [group(3), { ...failing, entries: [{ name: 'b', type: 'F32', shape: [1] }] }])).rejects.toThrow(
      'disk gone',
    );
    const file = await openSafetensors(path);
    expect(await readStored(file, 'a')).toMatchObject({ data: Float32Array.of(1) });
    await file.close();
  });

  test('shards are cut at tensors, and the index says where each is', async () => {
    const groups = ['a', 'b', 'c'].map((name) => ({
      entries: [{ name, type: 'F32' as const, shape: [2] }],
      read: () => [Float32Array.of(1, 2)],
    }));
    expect(await writeShards(scratch, groups, { maxShardBytes: 100 })).toEqual(['model.safetensors']);
    expect(await writeShards(scratch, groups, { maxShardBytes: 17 })).toEqual([
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
    ]);
    expect(JSON.parse(readFileSync(join(scratch, 'model.safetensors.index.json'), 'utf8'))).toEqual({
      metadata: { total_size: 24 },
      weight_map: {
        a: 'model-00001-of-00002.safetensors',
        b: 'model-00001-of-00002.safetensors',
        c: 'model-00002-of-00002.safetensors',
      },
    });
  });
});
