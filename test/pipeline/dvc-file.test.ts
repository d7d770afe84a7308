import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';

import { temporaryFolder } from '../../src/base/files.ts';
import { readPipeline } from '../../src/pipeline/dvc-file.ts';
import type { ParameterKey, ParameterValue } from '../../src/pipeline/lock-entry.ts';
import { currentParameters } from '../../src/pipeline/parameters.ts';
import type { Stage } from '../../src/pipeline/stage.ts';
import { parseValues } from '../../src/pipeline/value-file.ts';

const oracle = resolve(import.meta.dirname, '../oracle/pipeline/resolve');
const cases = JSON.parse(readFileSync(join(oracle, 'cases.json'), 'utf8')) as Record<string, Record<string, string>>;
// Read by our own reader, which keeps integers apart from floats.
const resolved = parseValues(readFileSync(join(oracle, 'resolved.json')), 'resolved.json') as ReadonlyMap<
  string,
  ReadonlyMap<string, ParameterValue>
>;

/** Our line for each case that DVC refuses. */
const refusals = JSON.parse(readFileSync(join(oracle, 'refusals.json'), 'utf8')) as Record<string, string>;

describe('dvc.yaml', () => {
  test.each(Object.keys(cases).filter((name) => !resolved.get(name)?.has('error')))('as DVC resolves it: %s', (name) => {
    const root = project(cases[name]!);
    const pipeline = readPipeline(join(root, 'dvc.yaml'));
    const expected = resolved.get(name)!;
    const stages = expected.get('stages') as readonly ReadonlyMap<string, ParameterValue>[];
    expect(pipeline.stages.map((stage) => told(stage, root))).toEqual(stages.map((stage) => plain(stage)));
    expect(pipeline.metrics).toEqual(expected.get('metrics'));
    expect(pipeline.parameterFiles).toEqual(expected.get('params'));
    const plots = (expected.get('plots') as readonly ParameterValue[]).flatMap((plot) =>
      typeof plot === 'string'
        ? [{ path: plot, plot: {} }]
        : Object.entries(plain(plot) as object).map(([path, one]) => ({ path, plot: one ?? {} })),
    );
    expect(pipeline.plots).toEqual(plots);
  });

  test('what DVC refuses is refused', () => {
    const refused = Object.keys(cases).filter((name) => resolved.get(name)?.has('error'));
    expect(Object.keys(refusals)).toEqual(refused.map((name) => name.replace('refused: ', '')));
  });

  test.each(Object.entries(refusals))('refused in one line: %s', (name, line) => {
    const root = project(cases[`refused: ${name}`]!);
    expect(lineOf(() => readPipeline(join(root, 'dvc.yaml'))).replaceAll(`${root}/`, '')).toBe(line);
  });

  const stage = (rest: string) => `stages:\n  a:\n    cmd: run\n    ${rest}\n`;
  test.each([
    ['artifacts: {}\n', 'pipeline: not supported: artifacts: dvc.yaml: artifacts; leave them out'],
    ['datasets: []\n', 'pipeline: not supported: datasets: dvc.yaml: datasets; name files in deps'],
    [stage('deps: [s3://b/k]'), 'pipeline: not supported: remote places: s3://b/k in dvc.yaml: stages.a.deps; name a local file'],
    [stage('outs: [remote://r/x]'), 'pipeline: not supported: remote places: remote://r/x in dvc.yaml: stages.a.outs; name a local file'],
    [
      stage('params: [{p.py: [lr]}]'),
      'pipeline: not supported: parameters in a Python file: p.py in dvc.yaml: stages.a.params; write them as YAML, JSON or TOML',
    ],
    [
      stage("params: ['train.*']"),
      'pipeline: not supported: patterns in names of parameters: train.* in dvc.yaml: stages.a.params; name each one, or the map that holds them',
    ],
    [
      stage('outs: [{o: {checkpoint: true}}]'),
      'pipeline: not supported: checkpoint: dvc.yaml: stages.a.outs[0].o.checkpoint; leave it out, DVC 3 has none either',
    ],
    ['vars: [v.py]\n', 'pipeline: not supported: values in a Python file: v.py; write them as YAML, JSON or TOML'],
    ['stages: {a: {cmd: "  "}}\n', 'pipeline: a command expected: dvc.yaml: stages.a.cmd; write it as text'],
    ['stages: {a: {cmd: []}}\n', 'pipeline: no command: dvc.yaml: stages.a.cmd'],
    ['[a, b]\n', 'pipeline: a map expected: dvc.yaml; got a list'],
    [
      'stages: [a\n',
      'pipeline: not readable as YAML (Flow sequence in block collection must be sufficiently indented and end with a ]): dvc.yaml:2',
    ],
  ])('what DVC has and we have not is refused by name: %j', (text, line) => {
    const root = project({ 'dvc.yaml': text, 'v.py': 'a = 1', 'p.py': 'lr = 1' });
    expect(lineOf(() => readPipeline(join(root, 'dvc.yaml'))).replaceAll(`${root}/`, '')).toBe(line);
  });

  test('a description that a template made a number is text', () => {
    const root = project({ 'dvc.yaml': stage(`desc: "\${n}"`), 'params.yaml': 'n: 1.0' });
    expect(readPipeline(join(root, 'dvc.yaml')).stages[0]?.description).toBe('1.0');
  });

  test('a missing dvc.yaml and a missing parameter say what to do', () => {
    expect(lineOf(() => readPipeline('gone/dvc.yaml'))).toBe('pipeline: not found: gone/dvc.yaml; name a folder that holds a dvc.yaml');
    const root = project({ 'dvc.yaml': stage('params: [train.lrr]'), 'params.yaml': 'train: {lr: 1}' });
    const [one] = readPipeline(join(root, 'dvc.yaml')).stages;
    expect(lineOf(() => currentParameters(one!))).toBe(
      'pipeline: parameter missing from params.yaml: train.lrr; stage a depends on it, did you mean train.lr?',
    );
    expect(currentParameters(one!, { missing: 'leave out' })).toEqual({ 'params.yaml': {} });
  });
});

/** A stage as the oracle tells it. */
function told(stage: Stage, root: string): unknown {
  let values: unknown;
  try {
    values = decoded(currentParameters(stage));
  } catch {
    values = 'refused';
  }
  return {
    name: stage.name,
    wdir: relative(root, stage.workdir) || '.',
    cmd: stage.commandsAsList ? stage.commands : stage.commands[0],
    deps: stage.dependencies.map((path) => path),
    params: stage.parameters.map(({ file, keys }) => [file, keys]),
    values,
    outs: stage.outputs.map(({ path, role, cache, persist, description, plot }) => ({
      path,
      role,
      cache,
      persist,
      desc: description ?? null,
      plot: plot ?? {},
    })),
    frozen: stage.frozen,
    always_changed: stage.alwaysChanged,
    desc: stage.description ?? null,
  };
}

/** Our values in the form `plain` gives the oracle's: maps as lists of pairs. */
function decoded(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decoded);
  const pairs = value instanceof Map ? [...value] : value !== null && typeof value === 'object' ? Object.entries(value) : undefined;
  return pairs ? { pairs: pairs.map(([key, one]) => [key, decoded(one)]) } : value;
}

function plain(value: ParameterValue): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  const map = value as ReadonlyMap<ParameterKey, ParameterValue>;
  if (map.has('map')) return { pairs: plain(map.get('map')!) };
  if (map.has('error')) return 'refused';
  if (map.has('float')) return Number(String(map.get('float')).replace('inf', 'Infinity'));
  return Object.fromEntries([...map].map(([key, one]) => [key, plain(one)]));
}

function project(files: Readonly<Record<string, string>>): string {
  const { path, remove } = temporaryFolder();
  onTestFinished(remove);
  mkdirSync(join(path, '.dvc'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), text.replaceAll('<root>', path));
  }
  return path;
}

function lineOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return (error as Error).message;
  }
  return 'not refused';
}
