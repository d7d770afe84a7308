// The populations that figures are measured on: real Synthea, generated once into a cache folder, then segmented and damaged.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { readParameters } from '../src/apps/entity-resolution/settings.ts';
import { cacheFolder } from '../src/cli/cache-folder.ts';
import { clinfuse } from './clinfuse.ts';

export const cache = cacheFolder();

export type Population = {
  readonly people: number;
  readonly seed: number;
  readonly state: string;
  readonly augment: 'augment' | 'augment_training';
};

const parameters = readParameters(join(import.meta.dirname, '..', 'params.yaml'));

/** Published evaluation run's settings; fitted on nothing. */
export const evaluation: Population = { people: 2500, seed: 67890, state: 'Massachusetts', augment: 'augment' };
export const training: Population = { people: 3000, seed: 12345, state: 'Massachusetts', augment: 'augment_training' };
export const growth: Population = { people: 10_000, seed: 777, state: 'Massachusetts', augment: 'augment' };
const codes: Readonly<Record<string, string>> = { Massachusetts: 'MA' };

/** Folder of the population's CSV files; generated when absent (minutes). */
export function csvFolder({ people, seed, state }: Population): string {
  const home = join(cache, 'bench', `synthea-${codes[state]}-${people}-${seed}`);
  if (!existsSync(home)) clinfuse('er', 'generate', '--population', people, '--seed', seed, '--state', state, '--out', home);
  return join(home, 'csv');
}

/** Folders of each stage that makes a run folder of the population; made when absent. */
export function runFolders(population: Population) {
  const home = join(cache, 'bench', 'runs', runName(population));
  const folders = { parquet: join(home, 'parquet'), segmented: join(home, 'segmented'), augmented: join(home, 'augmented') };
  if (!existsSync(folders.parquet)) ingest(population, folders.parquet);
  if (!existsSync(folders.segmented)) segment(population, folders.parquet, folders.segmented);
  if (!existsSync(folders.augmented)) injectErrors(population, folders.segmented, folders.augmented);
  return { ...folders, home };
}

export const ingest = (population: Population, out: string) => clinfuse('er', 'ingest', '--in', csvFolder(population), '--out', out);

export function segment({ augment }: Population, input: string, out: string) {
  const { seed, confusablePercent } = parameters[augment]!.segment;
  return clinfuse('er', 'segment', '--in', input, '--out', out, '--assignment-seed', seed, '--confusable-pct', confusablePercent);
}

export function injectErrors({ augment }: Population, input: string, out: string) {
  const { seed, minErrors, maxErrors, weights } = parameters[augment]!.inject;
  const words = ['--error-seed', seed, '--min-errors', minErrors, '--max-errors', maxErrors, '--error-weights', JSON.stringify(weights)];
  return clinfuse('er', 'inject-errors', '--in', input, '--out', out, ...words);
}

function runName({ people, seed, state }: Population): string {
  if (seed === evaluation.seed) return 'eval';
  return seed === training.seed ? 'train' : `${codes[state]}-${people}-${seed}`;
}
