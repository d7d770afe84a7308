// The files that real DVC was run over (test/oracle/pipeline/cache/recipe.py), built anew, and what DVC left of them.

import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

type Content =
  | string
  | { readonly text: string; readonly mode?: number }
  | { readonly base64: string }
  | { readonly link: string }
  | { readonly folder: true };

type Oracle = {
  readonly files: Readonly<Record<string, Readonly<Record<string, Content>>>>;
  readonly ignore: string;
  readonly single: Readonly<Record<string, string>>;
  readonly parameters: string;
  readonly lock: string;
  readonly manifests: Readonly<Record<string, string>>;
  readonly runs: Readonly<Record<string, string>>;
};

const folder = join(import.meta.dirname, '../oracle/pipeline/cache');

export const oracle = JSON.parse(readFileSync(join(folder, 'dvc.json'), 'utf8')) as Oracle;

const thousand: Readonly<Record<string, Content>> = Object.fromEntries(
  Array.from({ length: 1000 }, (_, i) => [`${Math.floor(i / 100)}/file-${i}.txt`, `${i}\n`]),
);

/** Puts the input files of every case under `root/in`, each case a folder. */
export function buildOracleFiles(root: string): void {
  for (const name of Object.keys(oracle.files)) {
    const files = name === 'thousand' ? thousand : oracle.files[name]!;
    for (const [path, content] of Object.entries(files)) put(join(root, 'in', name, path), content);
  }
  writeFileSync(join(root, '.dvcignore'), oracle.ignore);
}

function put(path: string, written: Content): void {
  const content = typeof written === 'string' ? { text: written } : written;
  mkdirSync('folder' in content ? path : dirname(path), { recursive: true });
  if ('text' in content) writeFileSync(path, content.text);
  if ('mode' in content) chmodSync(path, content.mode!);
  if ('base64' in content) writeFileSync(path, Buffer.from(content.base64, 'base64'));
  if ('link' in content) symlinkSync(content.link, path);
}
