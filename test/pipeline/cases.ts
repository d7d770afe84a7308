// Small pipelines, each with what happens to it: test/pipeline/cases/*.yaml. What real DVC made of them lies in test/oracle/dvc-cases.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

/** A change to the project by plain sh, then `repro` with these words. */
const step = z.strictObject({ sh: z.string(), about: z.string().optional(), repro: z.array(z.string()).default([]) });

const pipelineCase = z.strictObject({
  about: z.string(),
  /** Folder of dvc.yaml within the project. */
  folder: z.string().default('.'),
  files: z.record(z.string(), z.string()),
  /** Plain sh that makes what text files cannot: links, bits, folders. */
  setup: z.string().default('true'),
  steps: z.array(step).default([]),
  /** What we do otherwise than DVC in the last step, and shall. */
  differs: z.string().optional(),
});

export type PipelineCase = z.infer<typeof pipelineCase> & { readonly name: string; readonly group: string };

const home = join(import.meta.dirname, 'cases');

/** Every case, in the order of the files. Its steps start with a first repro and one that finds nothing to do. */
export const pipelineCases: readonly PipelineCase[] = readdirSync(home)
  .sort()
  .flatMap((file) =>
    Object.entries(z.record(z.string(), pipelineCase).parse(parse(readFileSync(join(home, file), 'utf8')))).map(([name, found]) => ({
      ...found,
      name,
      group: file.replace('.yaml', ''),
      steps: [{ sh: 'true', about: 'first', repro: [] }, { sh: 'true', about: 'again', repro: [] }, ...found.steps],
    })),
  );

/** Writes the case's project into an empty folder that is a DVC project already. Gives the folder of dvc.yaml. */
export function writeCase({ files, folder, setup }: PipelineCase, project: string): string {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(project, path)), { recursive: true });
    writeFileSync(join(project, path), text);
  }
  sh(setup, project);
  return join(project, folder);
}

/** What `dvc init --no-scm` leaves in a folder. */
export function initProject(project: string): void {
  mkdirSync(join(project, '.dvc', 'tmp'), { recursive: true });
  writeFileSync(join(project, '.dvc', 'config'), '[core]\n    no_scm = True\n');
  writeFileSync(join(project, '.dvc', '.gitignore'), '/config.local\n/tmp\n/cache\n');
  writeFileSync(join(project, '.dvcignore'), '# Add patterns of files dvc should ignore, which could improve\n');
}

/** Runs plain sh in a folder; a fault of it is a fault of the case. */
export function sh(text: string, folder: string): void {
  const run = spawnSync('/bin/sh', ['-c', text], { cwd: folder, encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`case: sh ended with ${run.status}: ${text}; ${run.stderr}`);
}
