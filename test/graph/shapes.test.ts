import { describe, expect, test } from 'vitest';

import * as graph from '../../src/graph/node.ts';
import { type OpName, operators } from '../../src/graph/shapes.ts';
import type { DataType } from '../../src/graph/tensor.ts';
import type { Attributes, Shape } from '../../src/graph/value.ts';

const typed = (type: DataType, ...shape: Shape) => ({ type, shape });
const x = (...shape: Shape) => typed('float32', ...shape);
const nf4 = { K: 128, N: 4, block_size: 64, quant_type: 1 };

describe('shapes', () => {
  test.each<{ op: OpName; inputs: readonly ReturnType<typeof typed>[]; attributes?: Attributes; gives: Shape }>([
    { op: 'Add', inputs: [x(2, 1, 3), x(4, 1)], gives: [2, 4, 3] },
    { op: 'Add', inputs: [x('n', 3), x(1, 3)], gives: ['n', 3] },
    { op: 'Mul', inputs: [x(), x(5)], gives: [5] },
    { op: 'Where', inputs: [typed('bool', 2, 1), x(3), x()], gives: [2, 3] },
    { op: 'ReduceSum', inputs: [x(2, 3, 4)], attributes: { axes: [0, -1] }, gives: [1, 3, 1] },
    { op: 'ReduceMean', inputs: [x('n', 4)], attributes: { axes: [1] }, gives: ['n', 1] },
    { op: 'MatMul', inputs: [x(2, 1, 3, 4), x(5, 4, 6)], gives: [2, 5, 3, 6] },
    { op: 'FusedMatMul', inputs: [x('b', 4, 'n'), x('b', 5, 4)], attributes: { transA: 1, transB: 1 }, gives: ['b', 'n', 5] },
    { op: 'Gemm', inputs: [x('n', 4), x(6, 4), x(6)], attributes: { transB: 1 }, gives: ['n', 6] },
    { op: 'MatMulBnb4', inputs: [x('n', 128), typed('uint8', 256, 1), x(8)], attributes: nf4, gives: ['n', 4] },
    { op: 'MatMulIntegerToFloat', inputs: [typed('uint8', 'n', 3), typed('int8', 3, 4), x(), x(4)], gives: ['n', 4] },
    {
      op: 'MatMulNBits',
      inputs: [x('n', 64), typed('uint8', 3, 2, 16), x(6)],
      attributes: { K: 64, N: 3, bits: 4, block_size: 32 },
      gives: ['n', 3],
    },
    { op: 'RotaryEmbedding', inputs: [x(1, 2, 'n', 8), typed('int64', 1), x(16, 4), x(16, 4)], gives: [1, 2, 'n', 8] },
    { op: 'RotaryEmbedding', inputs: [x(1, 'n', 16), typed('int64', 1, 'n'), x('p', 4), x('p', 4)], gives: [1, 'n', 16] },
    {
      op: 'GroupQueryAttention',
      inputs: [x(1, 'n', 16), x(1, 'n', 8), x(1, 'n', 8), x(1, 1, 'm', 8), x(1, 1, 'm', 8)],
      attributes: { num_heads: 2, kv_num_heads: 1 },
      gives: [1, 'n', 16],
    },
    { op: 'Reshape', inputs: [x(2, 6)], attributes: { shape: [3, 4] }, gives: [3, 4] },
    { op: 'Reshape', inputs: [x('n', 6)], attributes: { shape: [2, 'm', 3] }, gives: [2, 'm', 3] },
    { op: 'Transpose', inputs: [x(2, 'n', 4)], attributes: { perm: [2, 0, 1] }, gives: [4, 2, 'n'] },
    { op: 'Expand', inputs: [x(3, 1)], attributes: { shape: [2, 3, 4] }, gives: [2, 3, 4] },
    { op: 'Concat', inputs: [x(2, 3), x(2, 4)], attributes: { axis: 1 }, gives: [2, 7] },
    { op: 'Concat', inputs: [x(2, 'past'), x(2, 1)], attributes: { axis: 1 }, gives: [2, 'past+1'] },
    { op: 'Slice', inputs: [x('n', 5)], attributes: { axis: 1, from: 1, to: 3 }, gives: ['n', 2] },
    { op: 'Slice', inputs: [x(5)], attributes: { axis: 0, from: 2, to: 2 }, gives: [0] },
    { op: 'Split', inputs: [x('n', 5)], attributes: { axis: 1, sizes: [2, 3] }, gives: ['n', 2] },
    { op: 'Gather', inputs: [x(9, 4), typed('int64', 2, 'n')], attributes: { axis: 0 }, gives: [2, 'n', 4] },
    { op: 'Cast', inputs: [typed('uint8', 3)], attributes: { to: 1 }, gives: [3] },
  ])('$op gives $gives', ({ op, inputs, attributes = {}, gives }) => {
    expect(operators[op].infer(inputs, attributes)[0]!.shape).toEqual(gives);
  });

  test.each<{ op: OpName; inputs: readonly ReturnType<typeof typed>[]; attributes?: Attributes; says: string }>([
    { op: 'Add', inputs: [x(2, 3), x(2)], says: 'shapes do not fit: [2, 3] and [2]' },
    { op: 'Add', inputs: [x('n'), x('m')], says: 'shapes do not fit: [n] and [m]' },
    { op: 'Mul', inputs: [x(2), typed('float16', 2)], says: 'types differ: float32 and float16' },
    { op: 'Greater', inputs: [x(2), typed('int64', 2)], says: 'types differ: float32 and int64' },
    { op: 'Where', inputs: [x(2), x(2), x(2)], says: 'expected bool, got float32' },
    { op: 'Where', inputs: [typed('bool', 2), x(2), typed('int64', 2)], says: 'types differ: float32 and int64' },
    { op: 'ReduceSum', inputs: [x(2, 3)], attributes: { axes: [2] }, says: 'no axis 2 in [2, 3]' },
    { op: 'ReduceMean', inputs: [x(2, 3)], attributes: { axes: [-3] }, says: 'no axis -1 in [2, 3]' },
    { op: 'MatMul', inputs: [x(2, 3), x(4, 5)], says: 'inner sizes differ: [2, 3] and [4, 5]' },
    { op: 'MatMul', inputs: [x(3), x(3, 5)], says: 'not a matrix: [3]' },
    { op: 'MatMul', inputs: [x(2, 3), typed('int8', 3, 5)], says: 'types differ: float32 and int8' },
    { op: 'FusedMatMul', inputs: [x(2, 3, 4), x(5, 4, 6)], says: 'shapes do not fit: [2] and [5]' },
    { op: 'Gemm', inputs: [x(2, 3), x(5, 3)], says: 'inner sizes differ: [2, 3] and [5, 3]' },
    { op: 'Gemm', inputs: [x(2, 2, 3), x(3, 5)], says: 'not a plain matrix: [2, 2, 5]' },
    { op: 'Gemm', inputs: [x(2, 3), x(3, 5), x(3, 5)], says: 'shapes do not fit: [3, 5] and [2, 5]' },
    { op: 'Gemm', inputs: [x(1, 3), x(3, 5), x(2, 5)], says: 'sum does not fit: [2, 5] onto [1, 5]' },
    { op: 'MatMulBnb4', inputs: [x(2, 64), typed('uint8', 256), x(8)], attributes: nf4, says: 'inner sizes differ: [2, 64] and 128' },
    {
      op: 'MatMulBnb4',
      inputs: [x(2, 128), typed('uint8', 128), x(8)],
      attributes: nf4,
      says: '128 bytes and 8 blocks of 64 are not [4, 128]',
    },
    { op: 'MatMulIntegerToFloat', inputs: [typed('int8', 2, 3), typed('int8', 3, 4), x(), x(4)], says: 'expected uint8, got int8' },
    { op: 'MatMulIntegerToFloat', inputs: [typed('uint8', 2, 3), x(3, 4), x(), x(4)], says: 'expected int8, got float32' },
    {
      op: 'MatMulIntegerToFloat',
      inputs: [typed('uint8', 2, 3), typed('int8', 3, 4), x(), x(3)],
      says: 'scales [3] do not fit [2, 4]',
    },
    {
      op: 'MatMulNBits',
      inputs: [x('n', 64), typed('uint8', 3, 64), x(6)],
      attributes: { K: 64, N: 3, bits: 4, block_size: 32 },
      says: '[3, 64] and [6] are not [3, 64] in blocks of 32',
    },
    { op: 'SimplifiedLayerNormalization', inputs: [x(2, 3), x(2)], says: 'weight [2] does not fit [2, 3]' },
    { op: 'RotaryEmbedding', inputs: [x(3, 8)], says: 'not [batch, heads, tokens, dim] or [batch, tokens, heads * dim]: [3, 8]' },
    {
      op: 'GroupQueryAttention',
      inputs: [x(1, 'n', 16), x(1, 'n', 16), x(1, 'n', 16), x(1, 1, 'm', 8), x(1, 1, 'm', 8)],
      attributes: { num_heads: 2, kv_num_heads: 1 },
      says: '[1, n, 16] and [1, n, 16] do not fit past [1, 1, m, 8]',
    },
    {
      op: 'RotaryEmbedding',
      inputs: [x(1, 2, 3, 8), typed('int64', 1), x(16, 8), x(16, 8)],
      says: 'tables [16, 8] and [16, 8] do not fit [1, 2, 3, 8]',
    },
    { op: 'Cast', inputs: [x(2)], attributes: { to: 16 }, says: 'unknown element type 16' },
    { op: 'Reshape', inputs: [x(2, 3)], attributes: { shape: [4] }, says: '[2, 3] does not hold [4]' },
    { op: 'Reshape', inputs: [x('n', 3)], attributes: { shape: [3] }, says: '[n, 3] does not hold [3]' },
    { op: 'Transpose', inputs: [x(2, 3)], attributes: { perm: [0, 0] }, says: 'axes [0, 0] do not reorder [2, 3]' },
    { op: 'Transpose', inputs: [x(2, 3)], attributes: { perm: [1, 0, 2] }, says: 'axes [1, 0, 2] do not reorder [2, 3]' },
    { op: 'Expand', inputs: [x(2, 3)], attributes: { shape: [3] }, says: '[2, 3] does not repeat to [3]' },
    { op: 'Concat', inputs: [x(2, 3), x(3, 3)], attributes: { axis: 1 }, says: 'shapes do not fit: [2, 3] and [3, 3] along axis 1' },
    { op: 'Concat', inputs: [x(2), typed('int8', 2)], attributes: { axis: 0 }, says: 'types differ: float32 and int8' },
    { op: 'Concat', inputs: [x(2), x(2)], attributes: { axis: -1 }, says: 'no axis -1 in [2]' },
    { op: 'Slice', inputs: [x(2, 3)], attributes: { axis: 1, from: 1, to: 4 }, says: '1 to 4 does not lie in 3' },
    { op: 'Slice', inputs: [x(2, 3)], attributes: { axis: 1, from: 2, to: 1 }, says: '2 to 1 does not lie in 3' },
    { op: 'Slice', inputs: [x('n', 3)], attributes: { axis: 0, from: 0, to: 1 }, says: 'size not known yet: n' },
    { op: 'Split', inputs: [x(2, 5)], attributes: { axis: 1, sizes: [2, 2] }, says: 'parts of 2 + 2 do not make 5' },
    { op: 'Gather', inputs: [x(2, 3), x(4)], attributes: { axis: 0 }, says: 'expected int64 or int32, got float32' },
  ])('$op refuses: $says', ({ op, inputs, attributes = {}, says }) => {
    expect(() => operators[op].infer(inputs, attributes)).toThrow(says);
  });

  test('a fault names the node by its label', () => {
    const [a, b] = [graph.input('a', 'float32', [2, 3]), graph.input('b', 'float32', [4, 5])];
    expect(() => graph.gemm(a, b, { label: 'q_proj' })).toThrow('graph: Gemm "q_proj": inner sizes differ: [2, 3] and [4, 5]');
    expect(() => graph.add(a, b)).toThrow('graph: Add: shapes do not fit: [2, 3] and [4, 5]');
  });
});
