import { z } from 'zod';

import type { RewriteResult } from '../../apps/llm/rewrite.ts';
import { bytesText, thousands } from '../../base/text.ts';
import type { VerbOption } from '../verb.ts';

/** Options that several verbs share. */
export const modelOption: VerbOption = { flags: '--model <path>', help: 'model folder or .gguf file', required: true };
export const adapterOption: VerbOption = { flags: '--adapter <folder>', help: 'PEFT adapter folder' };
export const outOption: VerbOption = { flags: '--out <folder>', help: 'Hugging Face folder to write', required: true };
export const dtypeOption: VerbOption = { flags: '--dtype <name>', help: 'precision of the weights: f32, f16, bf16 (default: as they are)' };

export const pathSchema = z.string().min(1);
export const dtypeSchema = z.enum(['f32', 'f16', 'bf16'], 'not one of f32, f16, bf16').optional();

export const noTokenizer = 'No tokenizer was found: copy tokenizer.json into the folder before it is used';

/** What was written, in two lines. */
export function tellRewrite({ out, tensors, bytesBefore, bytesAfter, tokenizer }: RewriteResult): string {
  const change = `${bytesText(bytesBefore)} before, ${bytesText(bytesAfter)} after`;
  return [`${thousands(tensors)} tensors, ${change}: ${out}`, ...(tokenizer ? [] : [noTokenizer])].join('\n');
}
