import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from '../../base/errors.ts';
import { type Progress, silent } from '../../base/progress.ts';
import { toFloat32 } from '../../models/expand.ts';
import { openModel } from '../../models/folder.ts';
import { ggufMetadata } from '../../models/gguf.ts';
import { precisionOfType } from '../../models/model-folder.ts';
import { ggufFile } from '../../models/open-tokenizer.ts';
import type { StoredTensor } from '../../models/stored-tensor.ts';
import { tokenizerFiles } from '../../models/tokenizer-gguf.ts';
import { quantisable, type WeightToWrite, writeModelFolder } from '../../models/write-folder.ts';
import { storedBytes } from './memory.ts';

export type RewriteOptions = {
  /** Model folder or GGUF file. */
  readonly model: string;
  readonly out: string;
  /** Of the weights; `nf4`: of the linear layers, the rest stays as precise as it was. */
  readonly format?: 'f32' | 'f16' | 'bf16' | 'nf4' | undefined;
  /** With `nf4`: of what is not quantised. */
  readonly rest?: 'f32' | 'f16' | 'bf16' | undefined;
  readonly progress?: Progress;
};

export type RewriteResult = {
  readonly out: string;
  readonly tensors: number;
  /** Of the weights, as they were and as they are. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Whether a tokenizer went along. */
  readonly tokenizer: boolean;
};

/**
 * Writes a model again as a Hugging Face folder, a tensor at a time: a GGUF file spelt out, a folder in another precision, or its linear
 * layers in NF4 as bitsandbytes saves them. The tokenizer goes along. Without a format each weight keeps the precision it has, and a
 * GGUF file's blocks, which no half holds exactly, become float32.
 *
 * @throws UserError as `openModel` and `writeModelFolder`; `model.quantised` for a model that is NF4 already
 */
export async function rewriteModel({
  model: path,
  out,
  format,
  rest,

  progress = silent,
}: RewriteOptions): Promise<RewriteResult> {
  const model = await openModel(path);
  try {
    const { config, tensors } = model;
    const isNf4 = [...tensors.values()].some(({ type }) => type === 'U8');
    if (isNf4 && format === 'nf4') {
      throw new UserError('model.quantised', `quantize: is nf4 already: ${path}; name a model in full precision or a GGUF file`);
    }
    const step = progress.step('tensors', { total: tensors.size, unit: 'tensors' });
    const weights = [...tensors].map(
      ([name, { shape, type }]): WeightToWrite => ({
        name,
        shape,
        format: formatOf({ name, type, format, rest }),
        read: async () => {
          const stored = await model.read(name);
          step.advance(1);
          if (format === 'f16') refuseTooLarge(name, stored);
          return stored;
        },
      }),
    );
    await writeModelFolder(out, {
      config,
      weights,
      files: tokenizerOf(path),
      ...(ggufFile(path) === undefined ? { copyFrom: path } : {}),
    });
    step.finish();
    return {
      out,
      tensors: tensors.size,
      bytesBefore: [...tensors.values()].reduce((sum, entry) => sum + storedBytes(entry), 0),
      bytesAfter: readdirSync(out)
        .filter((name) => name.endsWith('.safetensors'))
        .reduce((sum, name) => sum + statSync(join(out, name)).size, 0),
      tokenizer: existsSync(join(out, 'tokenizer.json')),
    };
  } finally {
    await model.close();
  }
}

/** The tokenizer's files that a GGUF file stands for; none where a folder's own are to be copied, and none where there are none. */
export function tokenizerOf(path: string): Readonly<Record<string, string>> {
  const gguf = ggufFile(path);
  if (gguf === undefined) return {};
  try {
    return tokenizerFiles(ggufMetadata(gguf));
  } catch (cause) {
    if (cause instanceof UserError && cause.code === 'tokenizer.missing') return {};
    throw cause;
  }
}

type Wanted = Pick<RewriteOptions, 'format' | 'rest'> & { readonly name: string; readonly type: string };

function formatOf({ name, type, format, rest }: Wanted): WeightToWrite['format'] {
  const kept = precisionOfType(type);
  if (format !== 'nf4') return format ?? kept;
  return quantisable(name) ? 'nf4' : (rest ?? kept);
}

const largestHalf = 65504;

/** Half precision would make infinity of it. */
function refuseTooLarge(name: string, stored: StoredTensor): void {
  if (stored.format === 'f16') return;
  const bad = toFloat32(stored).find((value) => !(Math.abs(value) <= largestHalf));
  if (bad !== undefined) throw new UserError('model.not-finite', `convert: value does not fit f16: ${bad} in ${name}; write bf16 or f32`);
}
