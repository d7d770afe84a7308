// The product's own dvc.yaml and that of examples/pipeline: commands that exist, values that arrive, dependencies that are complete.

import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { readParameters } from '../src/apps/entity-resolution/settings.ts';
import { program } from '../src/cli/program.ts';
import { readPipeline } from '../src/pipeline/dvc-file.ts';
import { buildGraph } from '../src/pipeline/graph.ts';
import type { Stage } from '../src/pipeline/stage.ts';
import { importedFiles } from './imported-files.ts';

const root = resolve(import.meta.dirname, '..');
const wordsOf = (stage: Stage) => stage.commands.flatMap((command) => command.trim().split(/\s+/));
/** `er golden-records`, `er llm train`: all words up to the first option. */
function verbOf(stage: Stage): readonly string[] {
  const [, ...words] = wordsOf(stage);
  return words.slice(
    0,
    words.findIndex((word) => word.startsWith('--')),
  );
}
/** `er golden-records` -> src/cli/er/golden-records.ts. */
const verbFile = (stage: Stage) => `${join('src', 'cli', ...verbOf(stage))}.ts`;
/** Whether a path is the other, or lies inside it. */
const within = (path: string, outer: string) => path === outer || path.startsWith(`${outer}/`);

describe.each(['.', 'examples/pipeline', 'examples/gray-zone'])('the pipeline in %s', (place) => {
  const folder = join(root, place);
  const { stages } = readPipeline(join(folder, 'dvc.yaml'));
  const named = stages.map((stage) => ({ name: stage.name, stage }));
  const outputs = stages.flatMap((stage) => stage.outputs.map(({ path }) => path));

  test('its stages form a graph, in the order they are written', () => {
    expect(buildGraph(stages, folder).stages.map(({ name }) => name)).toEqual(stages.map(({ name }) => name));
  });

  test('params.yaml holds nothing unknown', () => expect(() => readParameters(join(folder, 'params.yaml'))).not.toThrow());

  test.each(named)('$name: the command exists, with these options and all it demands', async ({ stage }) => {
    const [name] = wordsOf(stage);
    expect(name).toBe('clinfuse');
    const path = verbOf(stage);
    let command: Command | undefined = await program([path[0]!]);
    for (const word of path) command = command?.commands.find((one) => one.name() === word);
    expect(command?.name()).toBe(path.at(-1));
    const given = wordsOf(stage).filter((word) => word.startsWith('--'));
    expect(given.filter((flag) => !command!.options.some(({ long }) => long === flag))).toEqual([]);
    expect(command!.options.filter(({ mandatory, long }) => mandatory && !given.includes(long!))).toEqual([]);
    expect(stage.commands.join()).not.toMatch(/[$'"`\\;&|<>*?]/);
  });

  test.each(named)('$name: every dependency is written by another stage or is there', ({ stage }) => {
    const foreign = stages.filter((other) => other !== stage).flatMap((other) => other.outputs.map(({ path }) => path));
    const lost = stage.dependencies.filter((path) => !foreign.some((out) => within(path, out)) && !existsSync(join(folder, path)));
    expect(lost).toEqual([]);
  });

  test.each(named)('$name: whatever its command reads of other stages is a dependency', ({ stage }) => {
    const own = stage.outputs.map(({ path }) => path);
    const read = wordsOf(stage).filter((word) => word.includes('/') && !own.some((path) => within(path, word) || within(word, path)));
    const lacking = read.filter((word) => !stage.dependencies.some((path) => within(path, word) || within(word, path)));
    expect(lacking).toEqual([]);
    expect(own.length).toBeGreaterThan(0);
  });

  test.each(named)('$name: tracks each block of params.yaml that its command reads, whole', ({ stage }) => {
    const tracked = stage.parameters.flatMap(({ file, keys }) => (file === 'params.yaml' ? keys : []));
    const blocks = parse(readFileSync(join(folder, 'params.yaml'), 'utf8')) as Record<string, unknown>;
    expect(tracked.filter((key) => !(key in blocks))).toEqual([]);
    const words = wordsOf(stage);
    const said = words.filter((_, i) => words[i - 1] === '--block');
    expect([...tracked].sort()).toEqual([...new Set([...said, ...blocksRead(stage), ...interpolated(folder, stage)])].sort());
  });

  test('no two stages write the same, and figures and plots are declared', () => {
    expect(new Set(outputs).size).toBe(outputs.length);
    const figures = (role: string) => stages.flatMap((stage) => stage.outputs.filter((out) => out.role === role).map(({ path }) => path));
    expect(figures('metric')).toContain('output/golden_records/evaluation_metrics.json');
    expect(figures('plot')).toContain('output/golden_records/precision_recall.json');
  });
});

describe('the code that a stage runs', () => {
  const { stages } = readPipeline(join(root, 'dvc.yaml'));
  /** Words, and values that come from params.yaml: the command and its parameters are tracked as they are. */
  const wording = /^src\/cli\/|\/settings\.ts$|^src\/synth\/config\.ts$/;
  /** Synthea makes the people, for minutes; these two only start it. How files are named and written is no reason to make them anew. */
  const startsSynthea = ['generate', 'generate_training'];

  test.each(stages.map((stage) => ({ name: stage.name, stage })))('$name: is a dependency of it', ({ name, stage }) => {
    const files = importedFiles(root, verbFile(stage)).filter((file) => !wording.test(file));
    const needed = files.filter((file) => !startsSynthea.includes(name) || file.startsWith('src/synth/'));
    const lacking = needed.filter((file) => !stage.dependencies.some((path) => within(file, path)));
    expect(lacking).toEqual([]);
  });

  test.each(stages.map((stage) => ({ name: stage.name, stage })))(
    '$name: is all there, and no folder is listed that it does not run',
    ({ stage }) => {
      const files = importedFiles(root, verbFile(stage));
      const idle = stage.dependencies.filter((path) => path.startsWith('src/') && !files.some((file) => within(file, path)));
      expect(idle).toEqual([]);
    },
  );

  test('the model that comes with the package is a dependency of every stage that weighs by it', () => {
    const weighing = stages.filter((stage) => importedFiles(root, verbFile(stage)).includes('src/apps/entity-resolution/infer.ts'));
    const using = weighing.filter((stage) => readFileSync(join(root, verbFile(stage)), 'utf8').includes('loadEvidenceModel(model)'));
    expect(using.map(({ name }) => name)).toEqual(['resolve', 'infer', 'report']);
    for (const stage of using) expect(stage.dependencies).toContain('models/evidence.json');
  });
});

/** Blocks that the verb's own code takes from params.yaml. */
function blocksRead(stage: Stage): string[] {
  const code = readFileSync(join(root, verbFile(stage)), 'utf8');
  if (!code.includes('chosenParameters(')) return [];
  const texts = importedFiles(root, verbFile(stage))
    .filter((file) => file.startsWith('src/apps/entity-resolution/') && !file.endsWith('settings.ts'))
    .map((file) => readFileSync(join(root, file), 'utf8'));
  const found = texts.flatMap((text) => [
    ...text.matchAll(/parameters\.(resolve|golden_records)\b|\{ (golden_records|resolve): \w+ \}: Parameters/g),
  ]);
  return found.map(([, direct, taken]) => direct ?? taken!);
}

/** Blocks that `${block.key}` or `${block}` in the command names; what `vars` says is none. */
function interpolated(folder: string, stage: Stage): string[] {
  const text = readFileSync(join(folder, 'dvc.yaml'), 'utf8');
  const { stages, vars = [] } = parse(text) as { stages: Record<string, { cmd: string }>; vars?: Record<string, string>[] };
  const named = [...stages[stage.name]!.cmd.matchAll(/\$\{(\w+)[\w.-]*\}/g)].map(([, block]) => block!);
  return named.filter((name) => !vars.some((one) => name in one));
}
