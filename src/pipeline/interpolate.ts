// Replaces `${...}` in the values of dvc.yaml.
//
//   lr is ${train.lr}     text with values in it; true, false in small letters, the rest as Python's `str` writes it
//   ${train.layers}       alone: the value itself, with its type; a list or map only where a loop reads it
//   ${train.layers[0]}    an element of a list, also `${train.layers.0}`; -1 is the last
//   run.py ${train}       a map within a command: `--lr 0.1 --layers 1 2 --decay.rate 0.9`
//   \${HOME}              left to the shell, without the backslash
//
// Keys of maps are replaced as well as values. Source of the rules: DVC, dvc/parsing/interpolate.py and context.py.

import { UserError } from '../base/errors.ts';
import { nearest } from '../base/text.ts';
import type { ParameterKey, ParameterValue } from './lock-entry.ts';
import { pythonText, shellQuote } from './python-text.ts';
import type { OptionStyle } from './settings.ts';
import { dottedKeys, isCollection, isList, isMapping, type ValueMap } from './values.ts';
import type { Variables } from './variables.ts';

export type Scope = {
  readonly variables: Variables;
  /** What is being read: `dvc.yaml: stages.train.cmd`. */
  readonly where: string;
  /** What a lone `${...}` may be but a scalar: anything for a loop; else nothing. */
  readonly collections?: boolean;
  /** In a command: how a map becomes options. */
  readonly options?: OptionStyle;
};

const expressions = /(?<!\\)\$\{(.*?)\}/g;

/** Whether a text is nothing but one `${...}`. */
export const isLoneExpression = (value: ParameterValue): boolean => typeof value === 'string' && /^\$\{[^}\n]*\}$/.test(value);

/** Whether a `${...}` stands anywhere in a value. */
export function holdsExpression(value: ParameterValue): boolean {
  if (typeof value === 'string') return value.search(expressions) >= 0;
  if (isList(value)) return value.some(holdsExpression);
  return isMapping(value) && [...value].some(([key, one]) => holdsExpression(key) || holdsExpression(one));
}

/**
 * A value with every `${...}` in it replaced.
 *
 * @throws UserError `pipeline.interpolation`: expression malformed, unknown or of a type that cannot stand there
 */
export function interpolate(value: ParameterValue, scope: Scope): ParameterValue {
  if (typeof value === 'string') return interpolateText(value, scope);
  if (isList(value)) return value.map((one) => interpolate(one, scope));
  if (!isMapping(value)) return value;
  return new Map<ParameterKey, ParameterValue>(
    [...value].map(([key, one]) => {
      const name = typeof key === 'string' ? interpolateText(key, scope) : key;
      if (isCollection(name)) throw fault('a list or map cannot be a key', String(key), scope);
      return [name, interpolate(one, scope)];
    }),
  );
}

function interpolateText(text: string, scope: Scope): ParameterValue {
  if (isLoneExpression(text)) {
    const value = select(text.slice(2, -1), scope);
    if (isCollection(value) && !scope.collections && !(scope.options && isMapping(value))) throw notText(text, value, scope);
    return value;
  }
  const filled = text.replace(expressions, (expression, inner: string) => {
    const value = select(inner, scope);
    if (isMapping(value) && scope.options) return commandOptions(value, expression, scope);
    if (isCollection(value)) throw notText(expression, value, scope);
    return typeof value === 'boolean' ? String(value) : pythonText(value);
  });
  return filled.replaceAll('\\${', '${');
}

/** The value an expression names: `a.b`, `a[0].c`. */
function select(inner: string, scope: Scope): ParameterValue {
  if (!/^[^.[\]]+(?:\.[^.[\]]+|\[[^.[\]]+\])*$/.test(inner)) throw fault('malformed expression', `\${${inner}}`, scope);
  const keys = inner.replaceAll('[', '.').replaceAll(']', '').split('.');
  let value: ParameterValue = scope.variables.values;
  for (const key of keys.map((one) => one.trim())) {
    const within: ParameterValue | undefined = isMapping(value) ? value.get(key) : elementOf(value, key);
    if (within === undefined) {
      const near = nearest(keys.join('.'), dottedKeys(scope.variables.values));
      throw fault('unknown variable', `\${${inner}}`, scope, near && `did you mean ${near}?`);
    }
    value = within;
  }
  return value;
}

function elementOf(value: ParameterValue, key: string): ParameterValue | undefined {
  return isList(value) && /^[-+]?\d+$/.test(key) ? value.at(Number(key)) : undefined;
}

/** `--lr 0.1 --verbose --layers 1 2`: nested maps by dotted names; what is false is left out, or `--no-name`. */
function commandOptions(map: ParameterValue, expression: string, scope: Scope): string {
  const options: string[] = [];
  const add = (name: string, value: ParameterValue): void => {
    if (isMapping(value)) for (const [key, one] of value) add(name ? `${name}.${String(key)}` : String(key), one);
    else if (typeof value === 'boolean') {
      if (value) options.push(`--${name}`);
      else if (scope.options?.writesFalse) options.push(`--no-${name}`);
    } else if (isList(value)) {
      if (value.some(isCollection)) throw fault(`a list within a list cannot be an option (${name})`, expression, scope);
      const words = value.map((one) => optionValue(one as Scalar));
      if (scope.options?.repeatsNames) for (const word of words) options.push(`--${name}`, word);
      else if (words.length > 0) options.push(`--${name}`, ...words);
    } else options.push(`--${name}`, optionValue(value as Scalar));
  };
  add('', map);
  return options.join(' ');
}

type Scalar = Exclude<ParameterValue, readonly ParameterValue[] | ValueMap>;

const optionValue = (value: Scalar): string => (typeof value === 'string' ? shellQuote(value) : pythonText(value));

function notText(expression: string, value: ParameterValue, scope: Scope): UserError {
  return fault(`a ${isMapping(value) ? 'map' : 'list'} cannot stand in text`, expression, scope);
}

function fault(what: string, expression: string, { where }: Scope, hint = ''): UserError {
  return new UserError('pipeline.interpolation', `pipeline: ${what}: ${expression} in ${where}${hint && `; ${hint}`}`);
}
