// A program through all steps of a case, beside what DVC once answered.

import { type PipelineCase, sh } from './cases.ts';
import { differences } from './differences.ts';
import { md5, observe } from './observe.ts';
import type { Program } from './program.ts';
import { seenByDvc } from './seen.ts';

/** What the first step that does not conform shows, line by line; none when all do. */
export async function besideStored(
  one: PipelineCase,
  { project, folder, program }: { readonly project: string; readonly folder: string; readonly program: Program },
): Promise<readonly string[]> {
  for (const [i, seen] of seenByDvc(one.name).entries()) {
    const step = one.steps[i]!;
    if (step.sh !== 'true') sh(step.sh, project);
    const changed = await program.changed(folder);
    const report = await program.repro(folder, step.repro);
    const { tree, ...remains } = observe(project, folder);
    const { lock, tree: storedTree, ...stored } = seen;
    const lines = differences(
      { changed, ...report, ...remains, tree: [md5(tree.join('\n'))] },
      { ...stored, tree: [storedTree], ...(lock === null ? {} : { lock }) },
      { isDry: step.repro.includes('--dry') },
    );
    if (lines.length > 0) return lines.map((line) => `step ${i + 1} (${seen.about}): ${line}`);
  }
  return [];
}
