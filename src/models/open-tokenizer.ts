import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { ggufMetadata } from './gguf.ts';
import { type Tokenizer, tokenizerFromFolder } from './tokenizer.ts';
import { tokenizerFromGguf } from './tokenizer-gguf.ts';

/**
 * The tokenizer of whatever `openModel` opens: a model folder's own, else that of the GGUF file.
 *
 * @throws UserError `tokenizer.missing`, `tokenizer.unreadable`, `tokenizer.unsupported`
 */
export function openTokenizer(path: string): Tokenizer {
  const file = ggufFile(path);
  return file === undefined ? tokenizerFromFolder(path) : tokenizerFromGguf(ggufMetadata(file));
}

/** The GGUF file that a path means: itself, or the only one of a folder that is no Hugging Face folder. */
export function ggufFile(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  if (!statSync(path).isDirectory()) return path;
  if (existsSync(join(path, 'config.json')) || existsSync(join(path, 'tokenizer.json'))) return undefined;
  const files = readdirSync(path).filter((name) => name.endsWith('.gguf'));
  return files.length === 1 ? join(path, files[0]!) : undefined;
}
