// A GGUF file as a model folder: tensors under their transformers names, quantised ones as blocks, read when asked for.
// Two things the converter of llama.cpp did are undone. In llama files (not gemma3) the rows of q and k are shuffled within each head,
// for rotation of neighbours instead of halves: file row 2i + j of a head is row j * (headDim / 2) + i. Gemma's norm weights were
// written with 1 added, since ggml multiplies by the weight where Gemma multiplies by (1 + weight).

import { UserError } from '../base/errors.ts';
import { printable } from '../base/text.ts';
import type { ModelConfig } from './config.ts';
import { sizeOf, toFloat32 } from './expand.ts';
import { type GgufTensor, readGguf, rowBytes } from './gguf.ts';
import { blockUnpacker } from './gguf-blocks.ts';
import { ggufConfig } from './gguf-config.ts';
import type { ModelFolder } from './model-folder.ts';
import { openToRead, readFully } from './safetensors.ts';
import type { StoredTensor } from './stored-tensor.ts';
import { checkTensors } from './tensor-shapes.ts';

const outerNames: Readonly<Record<string, string>> = {
  'token_embd.weight': 'model.embed_tokens.weight',
  'output_norm.weight': 'model.norm.weight',
  'output.weight': 'lm_head.weight',
};

const layerNames = {
  llama: { ffn_norm: 'post_attention_layernorm' },
  gemma3: {
    post_attention_norm: 'post_attention_layernorm',
    ffn_norm: 'pre_feedforward_layernorm',
    post_ffw_norm: 'post_feedforward_layernorm',
    attn_q_norm: 'self_attn.q_norm',
    attn_k_norm: 'self_attn.k_norm',
  },
  both: {
    attn_norm: 'input_layernorm',
    attn_q: 'self_attn.q_proj',
    attn_k: 'self_attn.k_proj',
    attn_v: 'self_attn.v_proj',
    attn_output: 'self_attn.o_proj',
    ffn_gate: 'mlp.gate_proj',
    ffn_up: 'mlp.up_proj',
    ffn_down: 'mlp.down_proj',
  },
} as const satisfies Record<string, Readonly<Record<string, string>>>;

/** Bytes read at a time while blocks are taken apart. */
const chunkBytes = 2 ** 24;

/** @throws UserError as `readGguf`, `ggufConfig` and `checkTensors` */
export async function openGguf(path: string): Promise<ModelFolder> {
  const { metadata, tensors: described } = readGguf(path);
  const byFileName = new Map(described.map((tensor) => [tensor.name, tensor]));
  const embedding = byFileName.get('token_embd.weight');
  if (!embedding) throw new UserError('model.tensor-missing', 'model: tensor missing: token_embd.weight; is it a whole language model?');
  const file = await openToRead(path);
  try {
    const divisors = byFileName.get('rope_freqs.weight');
    const config = ggufConfig({
      metadata,
      hasHead: byFileName.has('output.weight'),
      vocabSize: embedding.shape[0]!,
      ...(divisors && { frequencyDivisors: toFloat32(await readTensor({ file, path, tensor: divisors })) }),
    });
    const tensors = new Map<string, GgufTensor>();
    for (const tensor of described) {
      const name = modelName(tensor.name, config.family);
      if (name !== undefined) tensors.set(name, tensor);
      else if (tensor !== divisors) throw unknownPart(tensor.name);
    }
    checkTensors(config, tensors);
    return {
      path,
      config,
      tensors: new Map([...tensors].map(([name, { shape, type }]) => [name, { shape, type }])),
      read: async (name) => {
        const tensor = tensors.get(name);
        if (!tensor) throw new Error(`model: no such tensor: ${name}`);
        const order = rowOrder(name, config);
        const stored = await readTensor({ file, path, tensor, ...(order && { order }) });
        return config.family === 'gemma3' && name.endsWith('norm.weight') ? withoutOne(stored) : stored;
      },
      close: () => file.close(),
    };
  } catch (cause) {
    await file.close();
    throw cause;
  }
}

/** A bias, say: leaving it out would give another model. */
const unknownPart = (name: string) =>
  new UserError(
    'config.architecture',
    `gguf: part not supported: ${printable(name)}; supported: the parts of llama and gemma3, without biases`,
  );

function modelName(fileName: string, family: 'llama' | 'gemma3'): string | undefined {
  const [, layer, part] = fileName.match(/^blk\.(\d+)\.(\w+)\.weight$/) ?? [];
  if (part === undefined) return outerNames[fileName];
  const known: Readonly<Record<string, string>> = { ...layerNames.both, ...layerNames[family] };
  return known[part] && `model.layers.${layer}.${known[part]}.weight`;
}

/** The row that a file's row is in transformers; nothing where they are the same. */
function rowOrder(name: string, { family, headDim }: ModelConfig): ((row: number) => number) | undefined {
  if (family !== 'llama' || !/\.[qk]_proj\.weight$/.test(name)) return undefined;
  return (row) => {
    const within = row % headDim;
    return row - within + (within & 1) * (headDim / 2) + (within >> 1);
  };
}

type Reading = {
  readonly file: Awaited<ReturnType<typeof openToRead>>;
  readonly path: string;
  readonly tensor: GgufTensor;
  readonly order?: (row: number) => number;
};

async function readTensor({ file, path, tensor, order = (row) => row }: Reading): Promise<StoredTensor> {
  const { type, shape, start, bytes } = tensor;
  const columns = shape.at(-1) ?? 1;
  const stride = rowBytes(type, columns);
  const chunk = new Uint8Array(Math.min(bytes, Math.max(1, Math.floor(chunkBytes / stride)) * stride));
  const walk = async (take: (rows: Uint8Array) => void) => {
    for (let done = 0; done < bytes; done += chunk.length) {
      const target = chunk.subarray(0, Math.min(chunk.length, bytes - done));
      await readFully(file, { target, position: start + done, path });
      take(target);
    }
  };
  if (type === 'F32' || type === 'F16' || type === 'BF16') {
    const data = type === 'F32' ? new Float32Array(sizeOf(shape)) : new Uint16Array(sizeOf(shape));
    const target = new Uint8Array(data.buffer);
    let row = 0;
    await walk((rows) => {
      for (let at = 0; at < rows.length; at += stride) target.set(rows.subarray(at, at + stride), order(row++) * stride);
    });
    return data instanceof Float32Array ? { format: 'f32', shape, data } : { format: type === 'F16' ? 'f16' : 'bf16', shape, data };
  }
  const unpacker = blockUnpacker(type, { shape, order });
  await walk(unpacker.addRows);
  return unpacker.tensor;
}

function withoutOne(stored: StoredTensor): StoredTensor {
  return { format: 'f32', shape: stored.shape, data: toFloat32(stored).map((weight) => weight - 1) };
}
