// Which files of a data set hold which split, by the rules of Hugging Face data sets:
//
//   1. README.md may say so: `configs: [{ config_name, data_files: [{ split, path }] }]`; a path may be a pattern, or a list of them.
//   2. Else by name: a file or folder called train, validation (valid, val, dev) or test (testing, eval), alone or as a word of its
//      name: `data/train-00000-of-00002.parquet`, `dev.jsonl`, `test/part1.jsonl`.
//   3. Else every data file is training data.

import { existsSync, globSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

import { UserError } from '../base/errors.ts';
import { compareCodePoints } from '../base/text.ts';

export type Split = 'train' | 'validation' | 'test';

const words: Readonly<Record<string, Split>> = {
  ...{ train: 'train', training: 'train', test: 'test', testing: 'test', eval: 'test', evaluation: 'test' },
  ...{ validation: 'validation', valid: 'validation', val: 'validation', dev: 'validation' },
};
const formats = ['.jsonl', '.json', '.parquet'];
/** JSON that describes a data set and holds none. */
const described = /^(dataset_infos?|dataset_dict|state|metadata|config)\.json$/;

/**
 * The files of each split of a data set, in order of their names. A single file is all `train`.
 *
 * @param options.config which of the configurations named in README.md; by default the one called default, else the first
 * @throws UserError `dataset.missing`, `dataset.format`, `dataset.config`
 */
export function datasetFiles(
  path: string,
  { config }: { readonly config?: string | undefined } = {},
): Readonly<Record<Split, readonly string[]>> {
  if (!existsSync(path))
    throw new UserError('dataset.missing', `dataset: not found: ${path}; name a .jsonl or .parquet file, or a folder of them`);
  if (statSync(path).isFile()) {
    if (!formats.includes(extname(path))) throw unreadable(path);
    return { train: [path], validation: [], test: [] };
  }
  return declared(path, config) ?? byName(path);
}

const splitFiles = z.union([z.string(), z.array(z.string())]).transform((paths) => [paths].flat());
const card = z.looseObject({
  configs: z
    .array(
      z.looseObject({
        config_name: z.string().default('default'),
        data_files: z
          .union([
            splitFiles.transform((path) => [{ split: 'train', path }]),
            z.array(z.looseObject({ split: z.string(), path: splitFiles })),
            z.record(z.string(), splitFiles).transform((splits) => Object.entries(splits).map(([split, path]) => ({ split, path }))),
          ])
          .optional(),
      }),
    )
    .optional(),
});

function declared(folder: string, config: string | undefined): Record<Split, string[]> | undefined {
  const file = join(folder, 'README.md');
  const yaml = existsSync(file) ? readFileSync(file, 'utf8').match(/^---\r?\n([\s\S]*?)\r?\n---/)?.[1] : undefined;
  const configs = (yaml === undefined ? undefined : readCard(file, yaml))?.filter(({ data_files }) => data_files !== undefined);
  const names = (configs ?? []).map(({ config_name }) => config_name);
  if (config !== undefined && !names.includes(config)) {
    throw new UserError('dataset.config', `dataset: configuration not found: ${config}; ${file} names: ${names.join(', ') || 'none'}`);
  }
  const chosen = configs?.find(({ config_name }) => config_name === (config ?? 'default')) ?? configs?.[0];
  if (chosen === undefined) return undefined;
  const files: Record<Split, string[]> = { train: [], validation: [], test: [] };
  for (const { split, path } of chosen.data_files!) {
    const known = words[split];
    if (known === undefined) continue;
    for (const pattern of path) {
      const found = globSync(pattern, { cwd: folder }).sort(compareCodePoints);
      if (found.length === 0)
        throw new UserError('dataset.missing', `dataset: no file matches: ${pattern}; ${file} names it for split ${split}`);
      files[known].push(...found.map((name) => join(folder, name)));
    }
  }
  const wrong = Object.values(files)
    .flat()
    .find((name) => !formats.includes(extname(name)));
  if (wrong !== undefined) throw unreadable(wrong);
  return files;
}

function readCard(file: string, yaml: string) {
  try {
    return card.parse(parse(yaml) ?? {}).configs;
  } catch (cause) {
    throw new UserError('dataset.config', `dataset: not understood: configs in ${file}; each needs data_files with split and path`, {
      cause,
    });
  }
}

function byName(folder: string): Record<Split, string[]> {
  const all = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort(compareCodePoints);
  const data = all.filter((name) => formats.includes(extname(name)) && !described.test(name.split(sep).at(-1)!));
  if (data.length === 0) {
    if (all.some((name) => extname(name) === '.arrow')) throw unreadable(join(folder, all.find((name) => extname(name) === '.arrow')!));
    throw new UserError('dataset.missing', `dataset: no data files in ${folder}; expected ${formats.join(', ')}`);
  }
  const { train, validation, test } = splitsByName(data);
  const here = (names: readonly string[]) => names.map((name) => join(folder, name));
  return { train: here(train), validation: here(validation), test: here(test) };
}

/** Names of data files by the split they speak of; all are training data where none speaks of any. */
export function splitsByName(names: readonly string[]): Record<Split, string[]> {
  const files: Record<Split, string[]> = { train: [], validation: [], test: [] };
  const named = names.map((name) => ({ name, split: splitOf(name) }));
  const anyNamed = named.some(({ split }) => split !== undefined);
  for (const { name, split } of named) {
    if (split !== undefined) files[split].push(name);
    else if (!anyNamed) files.train.push(name);
  }
  return files;
}

/** The split that the name speaks of; the file's own name before its folders'. */
function splitOf(name: string): Split | undefined {
  for (const part of name.split(/[\\/]/).reverse()) {
    const found = part
      .toLowerCase()
      .split(/[^a-z]+/)
      .find((word) => Object.hasOwn(words, word));
    if (found !== undefined) return words[found];
  }
  return undefined;
}

const unreadable = (file: string) =>
  new UserError('dataset.format', `dataset: format not supported: ${file}; supported: ${formats.join(', ')} (save others as Parquet)`);
