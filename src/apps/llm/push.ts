import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from '../../base/errors.ts';
import type { Progress } from '../../base/progress.ts';
import { type PushResult, type PushTarget, pushFiles } from '../../models/push-files.ts';

export type PushOptions = PushTarget & {
  readonly folder: string;
  /** Branch to write to, made where there is none. */
  readonly branch?: string | undefined;
  readonly progress?: Progress;
};

/** What a model or an adapter consists of. All else in the folder (logs, data, checkpoints of a run) stays here. */
const modelFiles = [
  /^(model|adapter_model)(-\d+-of-\d+)?\.safetensors$/,
  /^(model|adapter_model)\.safetensors\.index\.json$/,
  /^(config|generation_config|adapter_config|calibration|clinfuse)\.json$/,
  /^(tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|chat_template)\.json$/,
  /^(tokenizer\.model|merges\.txt|chat_template\.jinja|README\.md|LICENSE(\.\w+)?|NOTICE(\.\w+)?)$/,
  /\.gguf$/,
];

/**
 * Sends a model or adapter folder to the hub, as one commit. A model that is not there yet is made private; one that is public is left
 * alone unless `isPublic` says that this is meant.
 *
 * @throws UserError `push.folder`, `push.public`, `hub.*`
 */
export async function push({ folder, log = () => {}, ...target }: PushOptions): Promise<PushResult> {
  const { files, left } = chooseFiles(folder);
  if (left.length > 0)
    log(`not part of a model, left here: ${left.slice(0, 6).join(', ')}${left.length > 6 ? ` and ${left.length - 6} more` : ''}`);
  return pushFiles({ ...target, files, title: 'Upload model', log });
}

function chooseFiles(folder: string) {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new UserError('push.folder', `push: not a folder: ${folder}; name a model or adapter folder`);
  }
  const names = readdirSync(folder).sort();
  const isPart = (name: string) => modelFiles.some((pattern) => pattern.test(name)) && statSync(join(folder, name)).isFile();
  const chosen = names.filter(isPart);
  if (!chosen.some((name) => /^(adapter_)?config\.json$|\.gguf$/.test(name))) {
    throw new UserError(
      'push.folder',
      `push: no model in ${folder}: neither config.json, adapter_config.json nor a .gguf file; name a model or adapter folder`,
    );
  }
  const files = chosen.map((path) => ({ path, source: join(folder, path), size: statSync(join(folder, path)).size }));
  return { files, left: names.filter((name) => !chosen.includes(name)) };
}
