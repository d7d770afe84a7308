// Looking into values of YAML, JSON and TOML files.

import type { ParameterKey, ParameterValue } from './lock-entry.ts';

export type ValueMap = ReadonlyMap<ParameterKey, ParameterValue>;

/** Whether a value is a map; `instanceof` alone does not tell the compiler. */
export const isMapping = (value: unknown): value is ValueMap => value instanceof Map;

export const isList = (value: unknown): value is readonly ParameterValue[] => Array.isArray(value);

export const isCollection = (value: unknown): value is readonly ParameterValue[] | ValueMap => isList(value) || isMapping(value);

/** The value of a dotted key; numbers count through lists, and a key that is a number is found by its digits. */
export function lookUp(content: ParameterValue, dottedKey: string): ParameterValue | undefined {
  let value: ParameterValue | undefined = content;
  for (const key of dottedKey.split('.')) {
    if (isList(value)) value = /^\d+$/.test(key) ? value[Number(key)] : undefined;
    else if (isMapping(value)) value = value.get(key) ?? (value.has(key) ? null : [...value].find(([one]) => String(one) === key)?.[1]);
    else return undefined;
  }
  return value;
}

/** Every key a map holds, dotted, maps and lists within included. */
export function dottedKeys(values: ValueMap, above = ''): string[] {
  return [...values].flatMap(([key, value]) => {
    const name = `${above}${String(key)}`;
    return isMapping(value) ? [name, ...dottedKeys(value, `${name}.`)] : [name];
  });
}

/** Whether two values are equal as Python compares them: `1`, `1.0` and `true` are, and NaN equals nothing. */
export function sameValue(left: ParameterValue | undefined, right: ParameterValue | undefined): boolean {
  if (isList(left) && isList(right)) return left.length === right.length && left.every((one, at) => sameValue(one, right[at]));
  if (isMapping(left) && isMapping(right))
    return left.size === right.size && [...left].every(([key, one]) => right.has(key) && sameValue(one, right.get(key)));
  if (left === undefined || right === undefined || isNumeric(left) !== isNumeric(right)) return false;
  // biome-ignore lint/suspicious/noDoubleEquals: a bigint equals a number of the same size, and true is 1
  return isNumeric(left) ? left == right : left === right;
}

const isNumeric = (value: ParameterValue): boolean => typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean';
