// The settings DVC keeps in `.dvc/config`, and a user's own in `.dvc/config.local`.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parse } from 'ini';

import { UserError } from '../base/errors.ts';

/** A value as written, and the file that sets it. */
export type Setting = { readonly text: string; readonly file: string };

/** `section.key` in lower case to its value; `config.local` goes over `config`. */
export function readSettings(root: string): ReadonlyMap<string, Setting> {
  const settings = new Map<string, Setting>();
  for (const name of ['config', 'config.local']) {
    const file = join(root, '.dvc', name);
    if (!existsSync(file)) continue;
    for (const [section, values] of Object.entries(parse(readFileSync(file, 'utf8')))) {
      if (typeof values !== 'object' || values === null) continue;
      for (const [key, value] of Object.entries(values)) {
        // A name with a dot, as remotes may have, reads as a section within a section: none of ours.
        if (typeof value === 'object') continue;
        settings.set(`${section}.${key}`.toLowerCase(), { text: String(value), file });
      }
    }
  }
  return settings;
}

/** How a map within a command becomes options. */
export type OptionStyle = {
  /** Whether `false` is written, as `--no-name`. */
  readonly writesFalse: boolean;
  /** Whether each element of a list repeats the name. */
  readonly repeatsNames: boolean;
};

/**
 * The settings `parsing.bool` and `parsing.list` of a project.
 *
 * @throws UserError `pipeline.config`
 */
export function readOptionStyle(root: string): OptionStyle {
  const settings = readSettings(root);
  const choice = (name: string, usual: string, other: string): boolean => {
    const text = settings.get(name)?.text.toLowerCase() ?? usual;
    if (text === usual || text === other) return text === other;
    throw new UserError('pipeline.config', `pipeline: unknown ${name}: ${text}; use ${usual} or ${other}`);
  };
  return {
    writesFalse: choice('parsing.bool', 'store_true', 'boolean_optional'),
    repeatsNames: choice('parsing.list', 'nargs', 'append'),
  };
}
