// Reads YAML as DVC does: the 1.2 rules of Python's ruamel.yaml, which differ from the core schema in the corners.
//
//   yes, on, 1:30       text                 017        17 (not octal)      1_000      1000
//   0o17, 0x1f, 0b11    15, 31, 3            1e-5       a float             1.         a float
//
// An integer comes back as a bigint of any size and a float as a number, so `1` and `1.0` stay apart. Maps keep their order and the
// types of their keys. A key twice, a second document, an unknown tag and bad syntax are refused with file and line.
// Source: ruamel.yaml, resolver.py (table of implicit resolvers for version 1.2) and constructor.py (SafeConstructor).

import {
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type ScalarTag,
} from 'yaml';

import { UserError } from '../base/errors.ts';
import { printable } from '../base/text.ts';
import type { ParameterKey, ParameterValue } from './lock-entry.ts';
import { isList, isMapping, type ValueMap } from './values.ts';

const tag = (name: string, test: RegExp, resolve: ScalarTag['resolve']): ScalarTag => ({
  tag: `tag:yaml.org,2002:${name}`,
  default: true,
  test,
  resolve,
});

const datePattern = /^(?:\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?)$/;

/** In ruamel's order: the first pattern that matches decides. */
const scalarTags: readonly ScalarTag[] = [
  tag('bool', /^(?:true|True|TRUE|false|False|FALSE)$/, (text) => /^t/i.test(text)),
  tag(
    'float',
    /^(?:[-+]?\d[\d_]*\.[\d_]*(?:[eE][-+]?\d+)?|[-+]?\d[\d_]*[eE][-+]?\d+|[-+]?\.[\d_]+(?:[eE][-+]\d+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/,
    readFloat,
  ),
  tag('int', /^(?:[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?[0-9][0-9_]*|[-+][0-9_]+|[-+]?0x[0-9a-fA-F_]+)$/, readInteger),
  tag('null', /^(?:~|null|Null|NULL|)$/, () => null),
  tag('value', /^=$/, (text, refuse) => {
    refuse('a lone = is reserved, write it in quotes');
    return text;
  }),
  tag('timestamp', datePattern, (text) => new YamlDate(text)),
];

/** `!!float 5`: a tag that is written out takes text its own pattern would not. */
const writtenTags: readonly ScalarTag[] = scalarTags.map((one) => ({ tag: one.tag, default: false, resolve: one.resolve }));

const knownTags = ['str', 'seq', 'map', 'bool', 'float', 'int', 'null', 'timestamp', 'merge'].map((name) => `tag:yaml.org,2002:${name}`);

/** A plain date, which no part of DVC can store. */
class YamlDate {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/**
 * Parses one YAML document; an empty one is null.
 *
 * @param options.file its name, for messages
 * @param options.dates what to do with `2026-01-31` outside quotes: DVC can neither hash nor store one as a parameter, but may carry one
 * along in `meta:`, where `text` keeps it as written
 * @throws UserError `pipeline.yaml`
 */
export function parseYaml(
  text: string,
  { file, dates = 'refuse' }: { readonly file: string; readonly dates?: 'refuse' | 'text' },
): ParameterValue {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    schema: 'failsafe',
    customTags: (tags) => [...tags, ...scalarTags, ...writtenTags, 'merge'],
    lineCounter: lines,
    prettyErrors: false,
  });
  const fault = (message: string, at: number | undefined, hint = ''): UserError => {
    const line = at === undefined ? '' : `:${lines.linePos(at).line}`;
    return new UserError('pipeline.yaml', `pipeline: ${message}: ${file}${line}${hint}`);
  };
  const [problem] = [...document.errors, ...document.warnings];
  if (problem) throw fault(`not readable as YAML (${printable(problem.message).replace(/[.;: ]+$/, '')})`, problem.pos[0]);

  if (document.directives.yaml.explicit && document.directives.yaml.version === '1.1') throw fault('%YAML 1.1 is not supported', 0);

  const anchored = new Map<unknown, ParameterValue>();
  const read = (node: unknown): ParameterValue => {
    if (node === null) return null;
    if (isAlias(node)) {
      const target = node.resolve(document);
      if (!target) throw fault(`unknown alias *${node.source}`, node.range?.[0]);
      // An anchor is read once, when it is met, which is before any alias of it; unless the alias stands inside.
      if (!anchored.has(target)) throw fault(`alias *${node.source} holds itself`, node.range?.[0]);
      return anchored.get(target)!;
    }
    if (isCollection(node) || isScalar(node)) {
      if (node.tag !== undefined && !knownTags.includes(node.tag)) throw fault('tag is not supported', node.range?.[0], `: ${node.tag}`);
    }
    const value = isSeq(node) ? node.items.map(read) : isMap(node) ? mapOf(node.items) : scalarOf(node);
    if (isNode(node) && node.anchor !== undefined) anchored.set(node, value);
    return value;
  };

  const scalarOf = (node: unknown): ParameterValue => {
    const value = isScalar(node) ? node.value : null;
    if (!(value instanceof YamlDate)) return value as ParameterValue;
    if (dates === 'text') return value.text;
    throw fault('dates are not supported', (node as Node).range?.[0], `: ${value.text}; write it in quotes`);
  };

  /** Pairs in order; what `<<` brings in comes first, and never over a key that is written. */
  const mapOf = (pairs: readonly Pair[]): ValueMap => {
    const own = pairs.filter((pair) => !isMerge(pair));
    const map = new Map<ParameterKey, ParameterValue>();
    for (const pair of pairs.filter(isMerge)) {
      const brought = read(pair.value);
      for (const source of isList(brought) ? brought : [brought]) {
        if (!isMapping(source)) throw fault('<< wants a map or a list of maps', undefined);
        for (const [key, value] of source) if (!map.has(key)) map.set(key, value);
      }
    }
    for (const pair of own) {
      const key = read(pair.key);
      if (key !== null && typeof key === 'object') throw fault('a list or map as a key is not supported', undefined);
      map.set(key, read(pair.value));
    }
    return map;
  };
  return read(document.contents);
}

const isMerge = (pair: Pair): boolean => isScalar(pair.key) && pair.key.source === '<<' && pair.key.type === 'PLAIN';

/** `1_000.5`, `.inf`, `1e-5`. */
function readFloat(written: string, refuse: (message: string) => void): number {
  const text = written.replaceAll('_', '').toLowerCase();
  if (text.endsWith('.inf')) return text.startsWith('-') ? -Infinity : Infinity;
  if (text === '.nan') return Number.NaN;
  if (!/\d/.test(text)) refuse(`not a number: ${written}`);
  return Number(text);
}

/** `-0x1f`, `0b11`, `0o17`, `017` (seventeen), `1_000`. */
function readInteger(written: string, refuse: (message: string) => void): bigint {
  const digits = written.replaceAll('_', '').replace(/^[-+]/, '');
  if (!/^(0[box])?[0-9a-f]+$/i.test(digits)) refuse(`not an integer: ${written}`);
  const size = /^0[box]/.test(digits) ? BigInt(digits) : BigInt(digits.replace(/^0+(?=\d)/, '') || 0);
  return written.startsWith('-') ? -size : size;
}

/** Whether text left without quotes reads as the same text, not as a number, a date, `true` or nothing. */
export function readsAsText(text: string): boolean {
  return text !== '<<' && text !== '=' && !scalarTags.some((one) => one.test!.test(text));
}
