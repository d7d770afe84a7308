// Reads a file of values (parameters, figures) into one form: YAML, or by its name JSON or TOML.

import { readFileSync, statSync } from 'node:fs';
import { extname } from 'node:path';
import { parse as parseToml, TomlDate, TomlError } from 'smol-toml';

import { UserError } from '../base/errors.ts';
import { printable } from '../base/text.ts';
import type { ParameterKey, ParameterValue } from './lock-entry.ts';
import { isList } from './values.ts';
import { parseYaml } from './yaml-values.ts';

/**
 * The values of a file; an empty one holds an empty map.
 *
 * @param name as messages tell it
 * @returns null where there is no such file
 * @throws UserError `pipeline.values`, `pipeline.yaml`
 */
export function readValues(file: string, name: string = file): ParameterValue | null {
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found) return null;
  if (found.isDirectory()) throw new UserError('pipeline.values', `pipeline: is a folder: ${name}; a file of values was expected`);
  return parseValues(readFileSync(file), name);
}

/** The values in a file's text, read by what its name ends in. */
export function parseValues(bytes: Uint8Array, name: string): ParameterValue {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new UserError('pipeline.values', `pipeline: not UTF-8: ${name}`, { cause });
  }
  const kind = extname(name).toLowerCase();
  if (kind === '.py') {
    throw new UserError(
      'pipeline.unsupported',
      `pipeline: not supported: values in a Python file: ${name}; write them as YAML, JSON or TOML`,
    );
  }
  const value = kind === '.json' ? fromJson(text, name) : kind === '.toml' ? fromToml(text, name) : parseYaml(text, { file: name });
  // What Python takes for false stands for no values at all.
  return isNothing(value) ? new Map() : value;
}

function isNothing(value: ParameterValue): boolean {
  return value === null || value === false || value === '' || value === 0 || value === 0n || (isList(value) && value.length === 0);
}

/** Marks a number that JSON has no word for, between the two readings of the text. */
const marker = '\u0000';

/** JSON as Python's `json` reads it: integers apart from floats, and also `NaN` and `Infinity`. */
function fromJson(text: string, name: string): ParameterValue {
  const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g, (token) =>
    token.startsWith('"') ? token : `"\\u0000${token}"`,
  );
  try {
    return JSON.parse(marked, (_key: string, value: unknown, context?: { readonly source?: string }) => {
      if (typeof value === 'number') return /^-?\d+$/.test(context?.source ?? '') ? BigInt(context!.source!) : value;
      if (typeof value === 'string') return value.startsWith(marker) ? Number(value.slice(1)) : value;
      return value !== null && typeof value === 'object' && !isList(value) ? new Map(Object.entries(value)) : value;
    }) as ParameterValue;
  } catch (cause) {
    throw new UserError('pipeline.values', `pipeline: not readable as JSON: ${name}; ${printable((cause as Error).message)}`, { cause });
  }
}

function fromToml(text: string, name: string): ParameterValue {
  let parsed: unknown;
  try {
    parsed = parseToml(text, { integersAsBigInt: true });
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const [what] = cause.message.split('\n');
    throw new UserError('pipeline.values', `pipeline: not readable as TOML: ${name}:${cause.line}; ${printable(what!)}`, { cause });
  }
  const plain = (value: unknown): ParameterValue => {
    if (value instanceof TomlDate) {
      throw new UserError('pipeline.values', `pipeline: dates are not supported: ${name}: ${value.toISOString()}; write it in quotes`);
    }
    if (isList(value)) return value.map(plain);
    if (value === null || typeof value !== 'object') return value as ParameterValue;
    return new Map<ParameterKey, ParameterValue>(Object.entries(value).map(([key, one]) => [key, plain(one)]));
  };
  return plain(parsed);
}
