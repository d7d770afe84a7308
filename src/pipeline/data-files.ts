// Data that no stage makes, but `dvc add` keeps: beside `raw.csv` lies `raw.csv.dvc`, which names its content. What a stage reads of it is
// brought in line before the stages run, as `dvc repro` does: taken from the cache when it is not there, recorded anew when it was changed.

import { readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';

import { UserError } from '../base/errors.ts';
import { replaceText } from '../base/files.ts';
import { placeOf } from './graph.ts';
import type { Fingerprint, ParameterKey, ParameterValue } from './lock-entry.ts';
import { isInside } from './repository.ts';
import type { Stage } from './stage.ts';
import { isList, isMapping, type ValueMap } from './values.ts';
import type { Workplace } from './workplace.ts';
import { writeYaml } from './write-yaml.ts';
import { parseYaml } from './yaml-values.ts';

type DataFile = { readonly file: string; readonly place: string; readonly locked: Fingerprint; readonly content: ValueMap };

/**
 * Brings what stages read from `dvc add` in line with its `.dvc` file, or that file with it.
 *
 * @param onNote gets a line for each that had to be changed
 * @throws UserError `pipeline.data` when content is neither there nor in the cache, or the file asks for what is not supported
 */
export async function settleData(stages: readonly Stage[], workplace: Workplace, onNote: (text: string) => void): Promise<void> {
  const { cache, prints, repository } = workplace;
  for (const data of dataFilesOf(stages, workplace)) {
    const now = await prints.of(data.place);
    const name = relative(repository.root, data.place);
    if (now?.md5 === data.locked.md5) continue;
    if (now) {
      const stored = await cache.store(data.place);
      replaceText(data.file, writeYaml(recordedAnew(data.content, stored)));
      onNote(`${name}: changed, recorded in ${relative(repository.root, data.file)}`);
    } else if (await cache.has(data.locked)) {
      await cache.checkout(data.locked, data.place);
      onNote(`${name}: taken from the cache`);
    } else {
      throw new UserError('pipeline.data', `repro: data missing: ${name}; it is not in the cache either, fetch it with \`dvc pull\``);
    }
  }
}

function dataFilesOf(stages: readonly Stage[], { graph, repository }: Workplace): readonly DataFile[] {
  const made = new Set(graph.stages.flatMap((stage) => stage.outputs.map(({ path }) => placeOf(stage, path))));
  const found = new Map<string, DataFile>();
  for (const stage of stages.filter(({ frozen }) => !frozen)) {
    for (const path of stage.dependencies) {
      for (let at = placeOf(stage, path); at !== repository.root && isInside(at, repository.root) && !made.has(at); at = dirname(at)) {
        const data = found.has(at) ? undefined : readDataFile(`${at}.dvc`);
        if (data && data.place === at) found.set(at, data);
      }
    }
  }
  return [...found.values()];
}

function readDataFile(file: string): DataFile | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
  const content = parseYaml(text, { file, dates: 'text' });
  const refuse = (what: string) => new UserError('pipeline.data', `repro: not supported: ${what}: ${file}; bring it up to date with DVC`);
  if (!isMapping(content)) throw refuse('a .dvc file without a map');
  if (content.has('deps')) throw refuse('imports');
  const outs = content.get('outs');
  const [out] = isList(outs) && outs.length === 1 ? outs : [];
  if (!isMapping(out)) throw refuse('a .dvc file that does not name one output');
  const [path, md5, size, wdir] = [out.get('path'), out.get('md5'), out.get('size'), content.get('wdir') ?? '.'];
  if (out.get('hash') !== 'md5') throw refuse('a .dvc file of DVC 2');
  if (typeof path !== 'string' || typeof md5 !== 'string') throw refuse('an output without path or md5');
  return { file, place: resolve(dirname(file), String(wdir), path), locked: { md5, size: Number(size ?? 0) }, content };
}

function recordedAnew(content: ValueMap, { md5, size, fileCount, isExecutable }: Fingerprint): ValueMap {
  const out = new Map<ParameterKey, ParameterValue>((content.get('outs') as readonly ValueMap[])[0]);
  out.set('md5', md5).set('size', BigInt(size));
  out.delete('nfiles');
  out.delete('isexec');
  if (fileCount !== undefined) out.set('nfiles', BigInt(fileCount));
  if (isExecutable) out.set('isexec', true);
  return new Map<ParameterKey, ParameterValue>(content).set('outs', [out]);
}
