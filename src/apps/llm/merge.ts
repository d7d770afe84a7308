import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from '../../base/errors.ts';
import { type Progress, silent } from '../../base/progress.ts';
import { openModel } from '../../models/folder.ts';
import { mergeModel } from '../../models/merge.ts';
import { type ModelFolder, precisionOfType } from '../../models/model-folder.ts';
import { readAdapter } from '../../models/peft.ts';
import { policyNamed, type StoragePolicy, storagePolicies } from '../../models/storage.ts';
import { tokenizerOf } from './rewrite.ts';

export type MergeOptions = {
  readonly model: string;
  readonly adapter: string;
  readonly out: string;
  /** Default: the base's own, float32 where that is a quantised one. */
  readonly format?: 'f32' | 'f16' | 'bf16' | undefined;
  /** `trained` (default): the weights as they were kept in training, where the adapter says so; `base`: the base's own. */
  readonly onto?: 'trained' | 'base' | undefined;
  readonly threads?: number | undefined;
  readonly progress?: Progress;
  readonly log?: (line: string) => void;
};

export type MergeResult = {
  readonly out: string;
  readonly format: 'f32' | 'f16' | 'bf16';
  /** Linear layers that the adapter changed. */
  readonly modules: number;
  /** Which weights it went onto, in words. */
  readonly onto: string;
  readonly tokenizer: boolean;
};

/**
 * Writes base and adapter as one Hugging Face folder that needs neither PEFT nor adapter.
 *
 * @throws UserError as `openModel`, `readAdapter` and `mergeModel`
 */
export async function mergeAdapter({
  model,
  adapter: adapterPath,
  out,
  format: wanted,
  onto = 'trained',
  threads,
  progress = silent,
  log = () => {},
}: MergeOptions): Promise<MergeResult> {
  const base = await openModel(model);
  try {
    const { adapter, labels, trainedOn, skipped } = await readAdapter(adapterPath, { base });
    if (skipped.length > 0) log(`${skipped.length} adapted layers of a vision part are left out: a text model has none`);
    const format = wanted ?? ownFormat(base);
    const storage = onto === 'trained' && trainedOn !== undefined ? policyOf(trainedOn) : undefined;
    const said = await mergeModel(out, {
      base,
      adapter,
      format,
      files: tokenizerOf(model),
      progress,
      ...(labels && { labels }),
      ...(storage && { storage }),
      ...(threads !== undefined && { session: { threads } }),
    });
    return { out, format, modules: adapter.modules.size, onto: said, tokenizer: existsSync(join(out, 'tokenizer.json')) };
  } finally {
    await base.close();
  }
}

function policyOf(trainedOn: string): StoragePolicy {
  const found = policyNamed(trainedOn);
  if (found) return found;
  const known = storagePolicies.join(', ');
  throw new UserError(
    'merge.storage',
    `merge: adapter was trained on weights kept as ${trainedOn}; known are ${known}; merge onto the base’s own (--onto base)`,
  );
}

/** The precision of the embeddings, which are never packed in a Hugging Face folder. */
function ownFormat({ tensors }: ModelFolder): 'f32' | 'f16' | 'bf16' {
  const type = tensors.get('model.embed_tokens.weight')?.type;
  return precisionOfType(type);
}
