// Reads dvc.yaml into stages: parse, check its shape, resolve variables and loops, check again what came out.

import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';

import { UserError } from '../base/errors.ts';
import { checkSchema } from './dvc-schema.ts';
import { holdsExpression, interpolate, type Scope } from './interpolate.ts';
import type { ParameterValue } from './lock-entry.ts';
import { foreachTurns, matrixTurns } from './loops.ts';
import { type OptionStyle, readOptionStyle } from './settings.ts';
import type { Pipeline, Stage } from './stage.ts';
import { stageOf } from './stage-entry.ts';
import { topPlots } from './top-plots.ts';
import type { ValueMap } from './values.ts';
import { addDefaultFile, addVariables, noVariables, type Variables, withLoopValues } from './variables.ts';
import { parseYaml } from './yaml-values.ts';

/**
 * The pipeline that a dvc.yaml describes, every template and loop of it resolved.
 *
 * @param file path of dvc.yaml, as messages shall name it
 * @throws UserError `pipeline.*` with one line: what is wrong, where in the file, what to do
 */
export function readPipeline(file: string): Pipeline {
  const folder = dirname(resolve(file));
  const content = parseYaml(readText(file), { file, dates: 'text' }) ?? new Map();
  checkSchema(content, file);
  const root = projectRoot(folder);
  const options = readOptionStyle(root);
  const { stages, vars, params, metrics, plots } = fieldsOf(content as ValueMap);
  const variables = variablesOf(vars, { folder, shownFolder: dirname(file), file });

  const top = (name: string, value: ParameterValue | undefined) =>
    interpolate(value ?? [], { variables, where: `${file}: ${name}`, collections: true }) as readonly ParameterValue[];
  return {
    folder,
    stages: [...((stages ?? new Map()) as ValueMap)].flatMap(([name, entry]) =>
      expand(entry as ValueMap, { name: name as string, variables, file, folder, root, options }),
    ),
    metrics: textsOf(top('metrics', metrics), `${file}: metrics`),
    parameterFiles: textsOf(top('params', params), `${file}: params`),
    plots: topPlots(top('plots', plots), `${file}: plots`),
  };
}

type Place = {
  readonly name: string;
  readonly variables: Variables;
  readonly file: string;
  readonly folder: string;
  readonly root: string;
  readonly options: OptionStyle;
};

/** The stages one entry stands for: itself, or one for each turn of its loop. */
function expand(entry: ValueMap, place: Place): readonly Stage[] {
  const { name, variables, file } = place;
  const { foreach, do: body, matrix } = fieldsOf(entry);
  const scope: Scope = { variables, where: `${file}: stages.${name}.${foreach === undefined ? 'matrix' : 'foreach'}` };
  if (foreach === undefined && matrix === undefined) return [resolveStage(entry, place)];
  const turns = foreach === undefined ? matrixTurns(matrix as ValueMap, scope) : foreachTurns(foreach, scope);
  const template = foreach === undefined ? new Map([...entry].filter(([key]) => key !== 'matrix')) : (body as ValueMap);
  return [...turns].map(([key, turn]) =>
    resolveStage(template, { ...place, name: `${name}@${key}`, variables: withLoopValues(variables, turn) }),
  );
}

/** One entry with its own variables: `wdir` is resolved before them, as its folder is where their files lie. */
function resolveStage(entry: ValueMap, { name, variables, file, folder, root, options }: Place): Stage {
  const { wdir, vars, ...fields } = fieldsOf(entry);
  const where = (key: string) => `${file}: stages.${name}.${key}`;
  const place = wdir === undefined ? '' : interpolate(wdir, { variables, where: where('wdir') });
  const workdir = isAbsolute(String(place)) ? String(place) : resolve(folder, String(place));
  const shownFolder = join(dirname(file), relative(folder, workdir));
  refuseExpressions(vars, where('vars'));
  const known = addVariables(variables, (vars ?? []) as readonly (string | ValueMap)[], {
    folder: workdir,
    shownFolder,
    where: where('vars'),
  });
  const resolved = Object.entries(fields).map(
    ([key, value = null]) =>
      [key, interpolate(value, { variables: known, where: where(key), ...(key === 'cmd' ? { options } : {}) })] as const,
  );
  return stageOf(Object.fromEntries(resolved), { name, workdir, root, file });
}

function variablesOf(
  vars: ParameterValue | undefined,
  { folder, shownFolder, file }: { readonly folder: string; readonly shownFolder: string; readonly file: string },
): Variables {
  const source = { folder, shownFolder, where: `${file}: vars` };
  refuseExpressions(vars, source.where);
  return addVariables(addDefaultFile(noVariables, source), (vars ?? []) as readonly (string | ValueMap)[], source);
}

function refuseExpressions(vars: ParameterValue | undefined, where: string): void {
  if (vars !== undefined && holdsExpression(vars)) {
    throw new UserError('pipeline.vars', `pipeline: vars cannot hold \${...}: ${where}; write the value itself`);
  }
}

/** A map whose keys are known to be text, as an object. */
function fieldsOf(map: ValueMap): Readonly<Partial<Record<string, ParameterValue>>> {
  return Object.fromEntries([...map].map(([key, value]) => [String(key), value]));
}

function textsOf(values: readonly ParameterValue[], where: string): readonly string[] {
  return values.map((value) => {
    if (typeof value === 'string') return value;
    throw new UserError('pipeline.schema', `pipeline: the name of a file expected: ${where}`);
  });
}

/** The nearest folder above that DVC was set up in; without one, the pipeline's own. */
function projectRoot(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, '.dvc'))) return at;
    if (at === dirname(at)) return folder;
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new UserError('pipeline.missing', `pipeline: not found: ${file}; name a folder that holds a ${basename(file)}`, { cause });
  }
}
