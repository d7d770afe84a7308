// A repro that finds nothing to do, beside `dvc status`: the product's own stages over the evaluation run, its data hard-linked into a
// project of the bench. What comes after the damaged records is stood in for by small files. Both have seen everything once before.

import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, linkSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { parse, stringify } from 'yaml';

import { readPipeline } from '../../src/pipeline/dvc-file.ts';
import { initProject } from '../../test/pipeline/cases.ts';
import { fastest } from '../clinfuse.ts';
import { csvFolder, evaluation, runFolders } from '../populations.ts';
import type { Row } from '../row.ts';
import { dvcEnvironment, dvcPrograms } from './dvc.ts';
import { ours, repro } from './ours.ts';
import { timed } from './timed.ts';

const least = 3;
const root = join(import.meta.dirname, '..', '..');
const lastStage = 'report';

export async function* noOp({ folder, quick }: { readonly folder: string; readonly quick: boolean }): AsyncGenerator<Row> {
  const figure = 'repro with nothing to do';
  const programs = dvcPrograms();
  if (!programs) return yield { figure, value: Number.NaN, unit: 's', peer: 'not installed', ok: true };
  const project = join(folder, 'no-op');
  const { files, bytes, stages } = makeProject(project, quick);
  const env = dvcEnvironment(join(folder, 'site-cache'));
  const dvc = (...words: readonly string[]) => execFileSync(join(programs, 'dvc'), words, { cwd: project, env, encoding: 'utf8' });
  dvc('commit', '--force', '--quiet');
  const first = await ours.repro(project, []);
  if (first.skipped.length !== stages) throw new Error(`bench: not all stages are up to date: ${JSON.stringify(first)}`);
  const said = dvc('status');
  if (!said.includes('up to date')) throw new Error(`bench: dvc status: ${said}`);
  const [mine, theirs]: { seconds: number }[][] = [[], []];
  for (let round = 0; round < (quick ? 3 : 7); round++) {
    theirs!.push(timed(() => dvc('status')));
    mine!.push(timed(() => repro(project)));
  }
  const [here, there] = [fastest(mine!).seconds, fastest(theirs!).seconds];
  yield {
    figure: `${figure}: ${stages} stages, ${files} files, ${(bytes / 1e9).toFixed(2)} GB`,
    value: here,
    unit: 's',
    peer: `${there.toFixed(3)} s dvc status`,
    ratio: there / here,
    must: `>= ${least}x`,
    ok: there / here >= least,
  };
}

/** The evaluation track of the product's dvc.yaml with all that it reads and writes. */
function makeProject(project: string, quick: boolean): { readonly files: number; readonly bytes: number; readonly stages: number } {
  mkdirSync(project);
  initProject(project);
  const { stages } = parse(readFileSync(join(root, 'dvc.yaml'), 'utf8')) as { stages: Record<string, unknown> };
  const names = Object.keys(stages);
  const kept = names.slice(0, names.indexOf(lastStage) + 1);
  writeFileSync(join(project, 'dvc.yaml'), stringify({ stages: Object.fromEntries(kept.map((name) => [name, stages[name]])) }));
  for (const path of ['src', 'models', 'params.yaml']) cpSync(join(root, path), join(project, path), { recursive: true });
  const sample = join(root, 'examples', 'data');
  const run = quick ? { parquet: sample, segmented: sample, augmented: sample } : runFolders(evaluation);
  const data: Readonly<Record<string, string>> = {
    'output/synthea/csv': quick ? sample : csvFolder(evaluation),
    'output/parquet': run.parquet,
    'output/segmented': run.segmented,
    'output/augmented': run.augmented,
  };
  for (const [to, from] of Object.entries(data)) linkFolder(from, join(project, to));
  const pipeline = readPipeline(join(project, 'dvc.yaml'));
  for (const { path } of pipeline.stages.flatMap(({ outputs }) => outputs)) {
    if (existsSync(join(project, path))) continue;
    const file = join(project, path, extname(path) === '' ? 'index.html' : '');
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, path);
  }
  return { ...sizeOf(project), stages: kept.length };
}

function linkFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [here, there] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) linkFolder(here, there);
    else
      try {
        linkSync(here, there);
      } catch {
        // Another disk.
        copyFileSync(here, there);
      }
  }
}

function sizeOf(folder: string): { readonly files: number; readonly bytes: number } {
  let [files, bytes] = [0, 0];
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    files++;
    bytes += statSync(join(entry.parentPath, entry.name)).size;
  }
  return { files, bytes };
}
