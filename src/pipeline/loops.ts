// `foreach` and `matrix`: one entry of dvc.yaml that stands for many stages.
//
//   foreach: [us, uk]             stages name@us, name@uk         ${item} is the element
//   foreach: {us: {lr: 1}, ...}   stages name@us, ...             ${key} is `us`, ${item.lr} is 1
//   foreach: [{lr: 1}, {lr: 2}]   stages name@0, name@1           lists and maps in a list are counted
//   matrix: {m: [a, b], n: [1, [2]]}   name@a-1, name@a-n1, ...    ${item.m}, ${item.n}; ${key} is `a-1`; of a map, its keys
//
// Equal names fall together, the last one wins. Source of the rules: DVC, dvc/parsing/__init__.py.

import { UserError } from '../base/errors.ts';
import { interpolate, isLoneExpression, type Scope } from './interpolate.ts';
import type { ParameterKey, ParameterValue } from './lock-entry.ts';
import { pythonText } from './python-text.ts';
import { isCollection, isList, isMapping, type ValueMap } from './values.ts';

/** What one turn of a loop sets: `item`, and `key` where the loop has one. */
export type Turn = Readonly<Record<string, ParameterValue>>;

/** An element with where it was written: DVC names `true` of a literal list `true`, but of a variable `True`. */
type Element = { readonly value: ParameterValue; readonly fromVariable: boolean };

/** Turns of a `foreach`, by the part of the stage's name after `@`. */
export function foreachTurns(loop: ParameterValue, scope: Scope): ReadonlyMap<string, Turn> {
  const over = interpolate(loop, { ...scope, collections: true });
  if (isMapping(over))
    return new Map(
      [...over].map(([key, item]) => [
        nameOf({ value: key, fromVariable: false }),
        { item, key: nameOf({ value: key, fromVariable: false }) },
      ]),
    );
  if (!isList(over)) throw new UserError('pipeline.loop', `pipeline: a loop wants a list or a map: ${scope.where}`);
  const elements = elementsOf(loop, over);
  const counted = elements.some(({ value }) => isCollection(value));
  return new Map(elements.map((element, index) => [counted ? String(index) : nameOf(element), { item: element.value }]));
}

/** Turns of a `matrix`: every combination of its lists, the last one turning fastest. */
export function matrixTurns(matrix: ValueMap, scope: Scope): ReadonlyMap<string, Turn> {
  const over = interpolate(matrix, { ...scope, collections: true }) as ValueMap;
  const written = [...matrix.values()];
  let combinations: { readonly names: readonly string[]; readonly item: ReadonlyMap<ParameterKey, ParameterValue> }[] = [
    { names: [], item: new Map() },
  ];
  [...over].forEach(([axis, values], at) => {
    const chosen = isMapping(values) ? [...values.keys()] : values;
    if (!isList(chosen)) throw new UserError('pipeline.loop', `pipeline: a matrix wants lists: ${scope.where}.${String(axis)}`);
    const elements = elementsOf(written[at]!, chosen);
    combinations = combinations.flatMap(({ names, item }) =>
      elements.map((element, index) => ({
        names: [...names, isCollection(element.value) ? `${String(axis)}${index}` : nameOf(element)],
        item: new Map(item).set(axis, element.value),
      })),
    );
  });
  return new Map(combinations.map(({ names, item }) => [names.join('-'), { item, key: names.join('-') }]));
}

function elementsOf(written: ParameterValue, values: readonly ParameterValue[]): readonly Element[] {
  return values.map((value, at) => ({ value, fromVariable: isLoneExpression(isList(written) ? written[at]! : written) }));
}

function nameOf({ value, fromVariable }: Element): string {
  if (isCollection(value)) throw new UserError('pipeline.loop', 'pipeline: a list or map cannot name a stage');
  return typeof value === 'boolean' && !fromVariable ? String(value) : pythonText(value);
}
