// NF4 weights as bitsandbytes saves them in safetensors. A weight X is several tensors:
//   X                                     the nibbles, [bytes, 1], as U8 or under a wider type that only wraps the bytes
//   X.absmax                              F32, one per block; U8 codes under double quantisation
//   X.quant_map                           F32 [16], the code (always NF4's own)
//   X.quant_state.bitsandbytes__nf4       U8, JSON: {quant_type, blocksize, dtype, shape, ...}
//   X.nested_absmax, X.nested_quant_map   only under double quantisation: absmax[j] = map[code[j]] * nested_absmax[j / 256] + offset
// Source: bitsandbytes, QuantState.as_dict and from_dict.

import * as z from 'zod';

import { UserError } from '../base/errors.ts';
import { printable } from '../base/text.ts';
import { sizeOf } from './expand.ts';
import { nf4Code } from './nf4.ts';
import type { Safetensors } from './safetensors.ts';
import type { Nf4Tensor } from './stored-tensor.ts';
import type { TensorGroup } from './write-safetensors.ts';

const stateSuffix = '.quant_state.bitsandbytes__nf4';
const parts = ['absmax', 'quant_map', 'nested_absmax', 'nested_quant_map'];

const stateSchema = z.object({
  quant_type: z.literal('nf4'),
  blocksize: z.int().positive().multipleOf(2),
  shape: z.array(z.int().nonnegative()),
  nested_blocksize: z.int().positive().optional(),
  nested_offset: z.number().optional(),
});

export type Nf4State = z.infer<typeof stateSchema>;

/** The weight that a tensor of a quantised folder is a part of; nothing for an ordinary tensor. */
export function quantisedWeight(name: string): string | undefined {
  if (name.endsWith(stateSuffix)) return name.slice(0, -stateSuffix.length);
  const part = parts.find((suffix) => name.endsWith(`.${suffix}`));
  return part && name.slice(0, -part.length - 1);
}

/**
 * Whether a tensor is an NF4 weight. Other 4-bit and 8-bit forms of bitsandbytes are refused.
 *
 * @throws UserError `quantised.unsupported`
 */
export function isNf4(file: Safetensors, name: string): boolean {
  if (file.tensors.has(`${name}${stateSuffix}`)) return true;
  const other = file.tensors.has(`${name}.quant_state.bitsandbytes__fp4`)
    ? 'fp4'
    : file.tensors.has(name.replace(/weight$/, 'SCB')) && 'int8';
  if (other) throw new UserError('quantised.unsupported', `bitsandbytes: form not supported: ${other} of ${name}; supported: nf4`);
  return false;
}

/** Reads what is said of a quantised weight: its shape before all. */
export async function readNf4State(file: Safetensors, name: string): Promise<Nf4State> {
  const text = new TextDecoder().decode(await file.readBytes(`${name}${stateSuffix}`));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw malformed(name, 'state is not JSON', cause);
  }
  const state = stateSchema.safeParse(value);
  if (!state.success) throw malformed(name, `${state.error.issues[0]!.path.join('.')}: ${state.error.issues[0]!.message}`);
  return state.data;
}

/**
 * Reads an NF4 weight; double quantisation is expanded.
 *
 * @throws UserError `quantised.malformed`
 */
export async function readNf4(file: Safetensors, name: string): Promise<Nf4Tensor> {
  const state = await readNf4State(file, name);
  const count = sizeOf(state.shape);
  const blocks = Math.ceil(count / state.blocksize);
  const packed = await file.readBytes(name);
  // A wider storage type may have rounded the bytes up.
  const bytes = (count + 1) >> 1;
  if (packed.length < bytes || packed.length > bytes + 7) throw malformed(name, `${packed.length} bytes for ${count} values`);
  const code = await floats(file, `${name}.quant_map`, 16);
  if (code.some((value, i) => Math.abs(value - nf4Code[i]!) > 1e-6)) throw malformed(name, 'quant_map is not the NF4 code');
  const nested = file.tensors.has(`${name}.nested_absmax`);
  const absmax = nested ? await nestedAbsmax(file, { name, state, blocks }) : await floats(file, `${name}.absmax`, blocks);
  return { format: 'nf4', shape: state.shape, packed: packed.subarray(0, bytes), absmax, blockSize: state.blocksize };
}

type Nested = { readonly name: string; readonly state: Nf4State; readonly blocks: number };

async function nestedAbsmax(file: Safetensors, { name, state, blocks }: Nested): Promise<Float32Array> {
  const { nested_blocksize: blockSize, nested_offset: offset } = state;
  if (blockSize === undefined || offset === undefined) throw malformed(name, 'nested_blocksize or nested_offset missing');
  const codes = await part(file, { name: `${name}.absmax`, type: 'U8', count: blocks });
  const map = await floats(file, `${name}.nested_quant_map`, 256);
  const scales = await floats(file, `${name}.nested_absmax`, Math.ceil(blocks / blockSize));
  const absmax = new Float32Array(blocks);
  for (let i = 0; i < blocks; i++) absmax[i] = Math.fround(map[codes[i]!]! * scales[Math.floor(i / blockSize)]!) + Math.fround(offset);
  return absmax;
}

async function floats(file: Safetensors, name: string, count: number): Promise<Float32Array> {
  return new Float32Array((await part(file, { name, type: 'F32', count })).buffer);
}

async function part(file: Safetensors, { name, type, count }: { name: string; type: 'F32' | 'U8'; count: number }): Promise<Uint8Array> {
  const entry = file.tensors.get(name);
  if (!entry) throw malformed(name, 'missing');
  if (entry.type !== type || sizeOf(entry.shape) !== count) {
    throw malformed(name, `${entry.type} [${entry.shape}] where ${type} [${count}] belongs`);
  }
  return file.readBytes(name);
}

/**
 * An NF4 weight as the tensors bitsandbytes loads.
 *
 * @param dtype what the weight was before, in PyTorch's word; loaders compute in it
 */
export function nf4Group(
  name: string,
  { shape, dtype, blockSize = 64, read }: { shape: readonly number[]; dtype: string; blockSize?: number; read: () => Promise<Nf4Tensor> },
): TensorGroup {
  const count = sizeOf(shape);
  const state = Buffer.from(JSON.stringify({ quant_type: 'nf4', blocksize: blockSize, dtype, shape }));
  return {
    entries: [
      { name, type: 'U8', shape: [(count + 1) >> 1, 1] },
      { name: `${name}.absmax`, type: 'F32', shape: [Math.ceil(count / blockSize)] },
      { name: `${name}.quant_map`, type: 'F32', shape: [16] },
      { name: `${name}${stateSuffix}`, type: 'U8', shape: [state.length] },
    ],
    read: async () => {
      const { packed, absmax } = await read();
      return [packed, absmax, nf4Code, state];
    },
  };
}

const malformed = (name: string, fault: string, cause?: unknown) =>
  new UserError('quantised.malformed', `bitsandbytes: ${printable(`${name}: ${fault}`)}; quantise the model again`, { cause });
