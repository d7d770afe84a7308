import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';

import { initProject, type PipelineCase, pipelineCases, writeCase } from './cases.ts';
import { inProcess } from './program.ts';
import { besideStored } from './stored.ts';

const titled = (cases: readonly PipelineCase[]) => cases.map((one) => [one.group, one.name, one.about, one] as const);
const onPurpose = pipelineCases.filter(({ differs }) => differs !== undefined);

async function found(one: PipelineCase) {
  const project = realpathSync(mkdtempSync(join(tmpdir(), 'clinfuse-case-')));
  onTestFinished(() => rmSync(project, { recursive: true, force: true }));
  initProject(project);
  return besideStored(one, { project, folder: writeCase(one, project), program: inProcess });
}

describe('repro and status', () => {
  test.each(titled(pipelineCases.filter(({ differs }) => !differs)))('as DVC 3.67.1: %s: %s: %s', async (_group, _name, _about, one) => {
    expect(await found(one)).toEqual([]);
  });

  test.each(titled(onPurpose))('not as DVC, in the last step: %s: %s: %s', async (_group, _name, _about, one) => {
    const lines = await found(one);
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.filter((line) => !line.startsWith(`step ${one.steps.length} `))).toEqual([]);
  });

  test('what differs from DVC on purpose is told in docs/pipelines.md', () => {
    const text = readFileSync(resolve(import.meta.dirname, '../../docs/pipelines.md'), 'utf8');
    expect(onPurpose.filter(({ differs }) => !text.includes(differs!))).toEqual([]);
  });
});
