import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../src/base/files.ts';
import { jsonChanges, jsonValue } from '../../src/cli/pipeline/value-table.ts';
import { readPipeline } from '../../src/pipeline/dvc-file.ts';
import { compareValues, figuresOf, metricFiles, parametersOf, parametersOfAll } from '../../src/pipeline/figures.ts';
import type { ParameterValue } from '../../src/pipeline/lock-entry.ts';
import { filesOf, plotDefinitions, plotOf } from '../../src/pipeline/plots.ts';
import { rowsOf } from '../../src/pipeline/rows.ts';
import { parseValues } from '../../src/pipeline/value-file.ts';

// One project in two states, and what DVC shows of it (recipe beside the files).
const oracle = resolve(import.meta.dirname, '../oracle/pipeline/figures');
const { before, after: changed } = JSON.parse(readFileSync(join(oracle, 'project.json'), 'utf8')) as Record<string, Record<string, string>>;
const shown = parseValues(readFileSync(join(oracle, 'shown.json')), 'shown.json') as ReadonlyMap<string, ParameterValue>;
const after = { ...before, ...changed };
const valuesIn = (files: Readonly<Record<string, string>>, name: string) => parseValues(Buffer.from(files[name] ?? ''), name);

const { path: root, remove } = temporaryFolder();
afterAll(remove);
for (const [name, text] of Object.entries(after)) {
  mkdirSync(dirname(join(root, name)), { recursive: true });
  writeFileSync(join(root, name), text!);
}
const pipeline = readPipeline(join(root, 'dvc.yaml'));

describe('figures', () => {
  test('parameters that changed are those DVC shows, lists as lists', () => {
    const changes = parametersOfAll(pipeline).flatMap(({ file, keys }) =>
      compareValues(file, { before: parametersOf(valuesIn(before!, file), keys), after: parametersOf(valuesIn(after, file), keys) }),
    );
    const expected = JSON.parse(JSON.stringify(jsonValue(shown.get('params')!)).replaceAll(/"(\[[^"]*\])"/g, '$1'));
    expect(jsonChanges(changes)).toEqual(expected);
  });

  test('figures that changed, with the difference, are those DVC shows', () => {
    const changes = metricFiles(pipeline).flatMap((file) =>
      compareValues(file, { before: figuresOf(valuesIn(before!, file)), after: figuresOf(valuesIn(after, file)) }),
    );
    expect(jsonChanges(changes)).toEqual(jsonValue(shown.get('metrics')!));
  });

  test('the figures of a file are its numbers, texts and flags, at any depth', () => {
    const expected = shown.get('figures') as ReadonlyMap<string, ReadonlyMap<string, ParameterValue>>;
    expect(metricFiles(pipeline)).toEqual([...expected.keys()]);
    for (const [file, one] of expected) {
      const ours = [...figuresOf(valuesIn(after, file))].sort();
      expect(ours).toEqual([...figuresOf(one.get('data')!)].sort());
    }
  });

  test('with all, also what did not change; a file that was not there has no old values', () => {
    const values = new Map<string, ParameterValue>([['a', 1n]]);
    expect(compareValues('f', { before: values, after: values, all: true })).toEqual([
      { file: 'f', key: 'a', old: 1n, new: 1n, change: 0n },
    ]);
    expect(compareValues('f', { before: new Map(), after: values })).toEqual([{ file: 'f', key: 'a', new: 1n }]);
  });
});

describe('plots', () => {
  const plots = shown.get('plots') as ReadonlyMap<string, ReadonlyMap<string, ParameterValue>>;

  test('every plot that DVC shows is among the definitions', () => {
    expect(
      plotDefinitions(pipeline)
        .map(({ id }) => id)
        .sort(),
    ).toEqual([...plots.keys()].sort());
  });

  test.each([...plots.keys()])('%s has the points and labels that DVC draws', (id) => {
    const definition = plotDefinitions(pipeline).find((one) => one.id === id)!;
    const rows = new Map(
      filesOf(definition).map((file) => [
        file,
        rowsOf(Buffer.from(after[file]!), file, { header: definition.properties.header !== false }),
      ]),
    );
    const { title, xLabel, yLabel, series } = plotOf(definition, rows);
    expect({
      title,
      x_label: xLabel,
      y_label: yLabel,
      series: series.map(({ points }) => points.map(({ x, y }) => [x, y])),
    }).toEqual(jsonValue(plots.get(id)!));
  });

  const csv = rowsOf(Buffer.from('step,loss\n0,1\n1,nan\n2,\n3,0.5\n'), 'a.csv');
  const plot = (properties: Readonly<Record<string, unknown>>) => plotOf({ id: 'a.csv', properties }, new Map([['a.csv', csv]]));

  test('a missing value leaves a gap', () => {
    expect(plot({ x: 'step' }).series[0]?.points).toEqual([
      { x: 0, y: 1 },
      { x: 3, y: 0.5 },
    ]);
  });

  test.each([
    [{ y: 'los' }, 'pipeline: column not found: los in a.csv; did you mean loss?'],
    [{ x: 'epochs', y: 'loss' }, 'pipeline: column not found: epochs in a.csv; it has: step, loss'],
    [
      { template: 'bar_horizontal' },
      'pipeline: not supported: template bar_horizontal of plots.a.csv; known: linear, simple, smooth, scatter, confusion, confusion_normalized',
    ],
    [{ x: { 'b.csv': 'step' }, y: 'loss' }, 'pipeline: file not found: b.csv of plots.a.csv; run the stage that writes it'],
  ])('%j is refused', (properties, message) => {
    expect(() => plot(properties)).toThrow(message);
  });

  test.each([
    ['quotes, line ends and separators within', 'a,b\r\n"x, ""y""\nz",2\r\n', [['x, "y"\nz', '2']]],
    ['an empty line is no row, a short one lacks its last fields', 'a,b\n\n1\n', [['1', null]]],
    ['no line end at the end', 'a,b\n1,2', [['1', '2']]],
    ['an empty last field', 'a,b\n1,\n', [['1', '']]],
  ])('CSV: %s', (_, text, rows) => {
    expect(rowsOf(Buffer.from(text), 'a.csv').rows.map((row) => [...row.values()])).toEqual(rows);
  });

  test('what is no plots file is refused', () => {
    expect(() => rowsOf(Buffer.from(''), 'a.txt')).toThrow('pipeline: not a plots file: a.txt; write CSV, TSV, JSON or YAML');
  });
});
