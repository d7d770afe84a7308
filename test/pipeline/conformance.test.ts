import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, type TestContext, test } from 'vitest';

import { initProject, type PipelineCase, pipelineCases, writeCase } from './cases.ts';
import { inProcess } from './program.ts';
import { besideStored } from './stored.ts';

const onPurpose = pipelineCases.filter(({ differs }) => differs !== undefined);

async function found(one: PipelineCase, onTestFinished: TestContext['onTestFinished']) {
  const project = realpathSync(mkdtempSync(join(tmpdir(), 'clinfuse-case-')));
  onTestFinished(() => rmSync(project, { recursive: true, force: true }));
  initProject(project);
  return besideStored(one, { project, folder: writeCase(one, project), program: inProcess });
}

describe('repro and status', () => {
  // Side by side: most of the time is spent waiting for commands.
  test.concurrent.for(pipelineCases.filter(({ differs }) => !differs))(
    'as DVC 3.67.1: $group: $name: $about',
    async (one, { expect, onTestFinished }) => {
      expect(await found(one, onTestFinished)).toEqual([]);
    },
  );

  test.concurrent.for(onPurpose)('not as DVC, in the last step: $name: $about', async (one, { expect, onTestFinished }) => {
    const lines = await found(one, onTestFinished);
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.filter((line) => !line.startsWith(`step ${one.steps.length} `))).toEqual([]);
  });

  test('what differs from DVC on purpose is told in docs/pipelines.md', () => {
    const text = readFileSync(resolve(import.meta.dirname, '../../docs/pipelines.md'), 'utf8');
    expect(onPurpose.filter(({ differs }) => !text.includes(differs!))).toEqual([]);
  });
});
