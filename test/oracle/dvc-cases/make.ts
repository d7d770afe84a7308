// Writes what DVC 3.67.1 makes of the cases in test/pipeline/cases: NAME/dvc.lock after the first repro, NAME/seen.json for every step.
// node test/oracle/dvc-cases/make.ts [NAME...]   (bench/peers/setup.sh installs DVC)

import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Dvc, dvcPrograms } from '../../../bench/pipeline/dvc.ts';
import { pipelineCases, sh, writeCase } from '../../pipeline/cases.ts';
import { md5, observe, type Remains } from '../../pipeline/observe.ts';
import type { Seen } from '../../pipeline/seen.ts';

const programs = dvcPrograms();
if (!programs) throw new Error('make: DVC is not installed; run bench/peers/setup.sh');
using dvc = new Dvc(programs);
const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'clinfuse-oracle-')));
const wanted = process.argv.slice(2);
const known = new Set(pipelineCases.map(({ name }) => name));
if (wanted.length === 0) {
  for (const name of readdirSync(import.meta.dirname, { withFileTypes: true }))
    if (name.isDirectory() && !known.has(name.name)) rmSync(join(import.meta.dirname, name.name), { recursive: true });
}

for (const one of pipelineCases) {
  if (wanted.length > 0 && !wanted.includes(one.name)) continue;
  const project = join(scratch, one.name);
  mkdirSync(project);
  await dvc.run(project, 'init', '--no-scm', '--quiet');
  const folder = writeCase(one, project);
  const seen: Seen[] = [];
  let before: Remains | undefined;
  for (const step of one.steps) {
    sh(step.sh, project);
    const changed = await dvc.changed(folder);
    const report = await dvc.repro(folder, step.repro);
    const remains = observe(project, folder);
    seen.push({ about: step.about ?? step.sh, changed, ...report, tree: md5(remains.tree.join('\n')), ...news(remains, before) });
    before = remains;
  }
  const home = join(import.meta.dirname, one.name);
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home);
  const { lock, ...first } = seen[0]!;
  if (typeof lock === 'string') writeFileSync(join(home, 'dvc.lock'), lock);
  writeFileSync(join(home, 'seen.json'), `[\n${[first, ...seen.slice(1)].map((step) => JSON.stringify(step)).join(',\n')}\n]\n`);
  const did = seen.map(({ ok, ran, restored, skipped, changed }) => `${ok ? '' : '!'}${ran.length}/${restored.length}/${skipped.length}${changed ? '' : '?'}`);
  console.log(`${one.name}: ${did.join(' ')}`);
  rmSync(project, { recursive: true, force: true });
}
rmSync(scratch, { recursive: true });

/** What is not as in the step before. */
function news({ cache, runs, ...rest }: Remains, before: Remains | undefined) {
  const lock = rest.lock ?? null;
  const isNew = (now: unknown, then: unknown) => JSON.stringify(now) !== JSON.stringify(then);
  return {
    ...(isNew(cache, before?.cache) ? { cache } : {}),
    ...(isNew(runs, before?.runs) ? { runs } : {}),
    ...(!before || isNew(lock, before.lock ?? null) ? { lock } : {}),
  };
}
