// Outputs whose content is in the cache stay out of git: each gets a line in the `.gitignore` beside it, as DVC writes it.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { replaceText } from '../base/files.ts';
import { gitIgnores } from './ignores.ts';
import { isInside, type Repository } from './repository.ts';

/** Makes git pass over a file or folder, unless it does already. Returns the file that was changed, if any. */
export function ignoreInGit(place: string, { gitRoot }: Pick<Repository, 'gitRoot'>): string | undefined {
  if (gitRoot === undefined || place === gitRoot || !isInside(place, gitRoot)) return undefined;
  const kind = statSync(place, { throwIfNoEntry: false })?.isDirectory() ? 'folder' : 'file';
  if (gitIgnores(gitRoot).has(place, kind)) return undefined;
  const file = join(dirname(place), '.gitignore');
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const line = `/${basename(place)}`.replace(/[\\[\]!*#?]/g, '\\$&');
  replaceText(file, `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${line}\n`);
  return file;
}
