// Text as Python writes it: DVC's names for folders and runs are hashes of `json.dumps(value, sort_keys=True)`, so every byte counts.
//
//   { b: 1n, a: [1, 'é'] }   ->   {"a": [1.0, "\u00e9"], "b": 1}
//
// Keys in the order of code points, ", " and ": " between, everything outside ASCII escaped, floats by their shortest digits.
// Source: Python's json/encoder.py.

import type { ParameterKey, ParameterValue } from './lock-entry.ts';
import { pythonFloat } from './python-text.ts';
import { isMapping } from './values.ts';

/** JSON as Python's `json.dumps(value, sort_keys=True)` writes it. */
export function pythonJson(value: ParameterValue): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'number') return jsonFloat(value);
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  if (isMapping(value)) {
    const entries = [...value].sort(([a], [b]) => compareKeys(a, b));
    return `{${entries.map(([key, item]) => `${quoted(keyText(key))}: ${pythonJson(item)}`).join(', ')}}`;
  }
  return `[${value.map(pythonJson).join(', ')}]`;
}

/** Orders text by code points, as Python does; `<` orders by UTF-16 units, which puts U+1F600 before U+FFFD. */
export function byCodePoint(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let i = 0; i < length; i++) {
    const [a, b] = [left.charCodeAt(i), right.charCodeAt(i)];
    if (a !== b) return lift(a) - lift(b);
  }
  return left.length - right.length;
}

/** Moves surrogates, which stand for code points past U+FFFF, behind all others. */
const lift = (unit: number): number => (unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit);

function quoted(text: string): string {
  return JSON.stringify(text).replace(/[\u007f-\uffff]/g, (unit) => `\\u${hex(unit)}`);
}

const hex = (unit: string): string => unit.charCodeAt(0).toString(16).padStart(4, '0');

const jsonFloat = (value: number): string =>
  Number.isNaN(value) ? 'NaN' : Number.isFinite(value) ? pythonFloat(value) : value > 0 ? 'Infinity' : '-Infinity';

const keyText = (key: ParameterKey): string => (typeof key === 'string' ? key : typeof key === 'number' ? jsonFloat(key) : String(key));

/** Python compares keys before they become text, numbers as numbers; it refuses to sort mixed kinds, for which any order will do. */
function compareKeys(left: ParameterKey, right: ParameterKey): number {
  if (typeof left === 'string' && typeof right === 'string') return byCodePoint(left, right);
  if (typeof left === 'string' || typeof right === 'string') return typeof left === 'string' ? 1 : -1;
  return Number(left) - Number(right);
}
