// DVC and ClinFuse through the same cases: each alone from the first step to the last, then each in what the other left behind.

import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { initProject, type PipelineCase, pipelineCases, sh, writeCase } from '../../test/pipeline/cases.ts';
import { differences, type Shown } from '../../test/pipeline/differences.ts';
import { observe } from '../../test/pipeline/observe.ts';
import type { Program } from '../../test/pipeline/program.ts';
import { besideStored } from '../../test/pipeline/stored.ts';
import type { Row } from '../row.ts';
import { Dvc, dvcPrograms } from './dvc.ts';
import { ours } from './ours.ts';

const least = 25;

/** Rows of cases that hold, by group and in all; what does not hold is told on stderr. */
export async function* conformance({ folder, quick }: { readonly folder: string; readonly quick: boolean }): AsyncGenerator<Row> {
  const cases = pipelineCases.filter(({ differs }, i) => differs === undefined && (!quick || i % 6 === 0));
  const programs = dvcPrograms();
  using dvc = programs === undefined ? undefined : new Dvc(programs);
  const peer = dvc ? 'DVC 3.67.1, run in turn' : 'not installed: stored answers of DVC 3.67.1';
  const row = (figure: string, { count, holds, steps }: Tally, bound = 1): Row => ({
    figure: `${figure}: ${count} cases, ${steps} steps`,
    value: holds,
    unit: 'hold',
    peer,
    must: bound > 1 ? `all, >= ${bound}` : 'all',
    ok: holds === count && count >= bound,
  });
  let all: Tally = { count: 0, holds: 0, steps: 0 };
  for (const group of new Set(cases.map((one) => one.group))) {
    const members = cases.filter((one) => one.group === group);
    let tally: Tally = { count: 0, holds: 0, steps: 0 };
    for (const one of members) {
      const home = join(folder, one.name);
      mkdirSync(home);
      const found = await differencesOf(one, home, dvc);
      for (const line of found) console.error(`     ${one.name}: ${line}`);
      tally = plus(tally, { count: 1, holds: found.length === 0 ? 1 : 0, steps: one.steps.length });
    }
    all = plus(all, tally);
    yield row(`as DVC does it, ${group}`, tally);
  }
  yield row('as DVC does it, in all', all, quick ? 1 : least);
}

type Tally = { readonly count: number; readonly holds: number; readonly steps: number };

const plus = (a: Tally, b: Tally): Tally => ({ count: a.count + b.count, holds: a.holds + b.holds, steps: a.steps + b.steps });

async function differencesOf(one: PipelineCase, home: string, dvc: Dvc | undefined): Promise<readonly string[]> {
  const [mine, theirs] = [join(home, 'ours'), join(home, 'theirs')];
  mkdirSync(mine);
  initProject(mine);
  const folder = writeCase(one, mine);
  if (!dvc) return besideStored(one, { project: mine, folder, program: ours });
  mkdirSync(theirs);
  await dvc.run(theirs, 'init', '--no-scm', '--quiet');
  writeCase(one, theirs);
  for (const [i, { sh: change, about, repro }] of one.steps.entries()) {
    for (const project of [mine, theirs]) sh(change, project);
    const lines = differences(
      await show(ours, { one, project: mine, words: repro }),
      await show(dvc, { one, project: theirs, words: repro }),
      {
        isDry: repro.includes('--dry'),
      },
    );
    if (lines.length > 0) return lines.map((line) => `step ${i + 1} (${about ?? change}): ${line}`);
  }
  return [
    ...(await inTurn(one, mine, dvc)).map((line) => `in what we left: ${line}`),
    ...(await inTurn(one, theirs, dvc)).map((line) => `in what DVC left: ${line}`),
  ];
}

/** Both over what one of them left: whoever comes second sees a copy. */
async function inTurn(one: PipelineCase, project: string, dvc: Dvc): Promise<readonly string[]> {
  const copy = `${project}-copy`;
  execFileSync('cp', ['-a', project, copy]);
  return differences(await show(ours, { one, project, words: [] }), await show(dvc, { one, project: copy, words: [] }));
}

type Place = { readonly one: PipelineCase; readonly project: string; readonly words: readonly string[] };

async function show(program: Program, { one, project, words }: Place): Promise<Shown> {
  const folder = join(project, one.folder);
  const changed = await program.changed(folder);
  const report = await program.repro(folder, words);
  return { changed, ...report, ...observe(project, folder) };
}
