import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from '../../base/errors.ts';
import { type Progress, silent } from '../../base/progress.ts';
import type { Hub } from '../../models/hub.ts';

export type PushOptions = {
  readonly hub: Hub;
  readonly folder: string;
  /** OWNER/NAME. */
  readonly name: string;
  /** Branch to write to, made where there is none. */
  readonly branch?: string | undefined;
  /** Let everybody see it: asked for, never assumed. */
  readonly isPublic?: boolean;
  readonly progress?: Progress;
  readonly log?: (line: string) => void;
};

export type PushResult = {
  readonly name: string;
  readonly branch: string;
  readonly commit: string;
  readonly url: string;
  readonly isPrivate: boolean;
  readonly files: readonly string[];
  readonly bytes: number;
};

/** What a model or an adapter consists of. All else in the folder (logs, data, checkpoints of a run) stays here. */
const modelFiles = [
  /^(model|adapter_model)(-\d+-of-\d+)?\.safetensors$/,
  /^(model|adapter_model)\.safetensors\.index\.json$/,
  /^(config|generation_config|adapter_config|clinfuse)\.json$/,
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
export async function push({
  hub,
  folder,
  name,
  branch = 'main',
  isPublic = false,
  progress = silent,
  log = () => {},
}: PushOptions): Promise<PushResult> {
  const { files, left } = chooseFiles(folder);
  if (left.length > 0)
    log(`not part of a model, left here: ${left.slice(0, 6).join(', ')}${left.length > 6 ? ` and ${left.length - 6} more` : ''}`);
  const found = await hub.find(name);
  if (!found) await hub.create(name, { isPrivate: !isPublic });
  else if (!found.isPrivate && !isPublic) {
    throw new UserError('push.public', `push: everybody can see ${name}; say --public if that is meant, or name another`);
  }
  const isPrivate = found?.isPrivate ?? !isPublic;
  if (isPublic && isPrivate) log(`${name} stays private: its owner can change that in its settings`);
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const step = progress.step(`pushing ${name}`, { total: bytes, unit: 'bytes' });
  const { commit, url } = await hub.upload({ name, branch, title: 'Upload model', files, advance: step.advance });
  step.finish();
  return { name, branch, commit, url, isPrivate, files: files.map(({ path }) => path), bytes };
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
