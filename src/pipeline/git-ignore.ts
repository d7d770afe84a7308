// Outputs whose content is in the cache stay out of git: each gets a line in the `.gitignore` beside it, as DVC writes it.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';

import { UserError } from '../base/errors.ts';
import { replaceText } from '../base/files.ts';
import { isTracked } from './git-index.ts';
import { gitIgnores } from './ignores.ts';
import { isInside, type Repository } from './repository.ts';

/**
 * Makes git pass over a file or folder, unless it does already.
 *
 * @throws UserError `pipeline.tracked` when git tracks it
 */
export function ignoreInGit(place: string, { gitRoot }: Pick<Repository, 'gitRoot'>): void {
  if (gitRoot === undefined || place === gitRoot || !isInside(place, gitRoot)) return;
  if (isTracked(place, gitRoot)) {
    const name = relative(gitRoot, place);
    throw new UserError(
      'pipeline.tracked',
      `pipeline: output is in git: ${name}; \`git rm -r --cached '${name}'\`, or mark it cache: false`,
    );
  }
  const kind = statSync(place, { throwIfNoEntry: false })?.isDirectory() ? 'folder' : 'file';
  if (gitIgnores(gitRoot).has(place, kind)) return;
  const file = join(dirname(place), '.gitignore');
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const line = `/${basename(place)}`.replace(/[\\[\]!*#?]/g, '\\$&');
  replaceText(file, `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${line}\n`);
}
