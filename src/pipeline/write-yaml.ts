// Writes YAML byte for byte as DVC does (Python's ruamel.yaml with its defaults), so that a dvc.lock gives no diff when the other
// tool writes it next. Block style throughout; `[]` and `{}` only where empty; lists not indented under their key.
//
//   cmd: "a\nb"          text with a line break or a ' that cannot stand plain   -> double quotes
//   x: '1'               text that would read as something else                  -> single quotes
//   n:                   null is nothing at all
//   a: &id001            a list or map that stands in two places is written once
//
// Lines are folded past column 80: plain text before the word that would cross it (leaving the space behind), quoted text at the first
// space after it. The rules are ruamel's own, oddities included, because the aim is the same bytes; test/oracle/pipeline/cache holds
// what it wrote for each of them.
// Source: ruamel.yaml, emitter.py (analyze_scalar, choose_scalar_style, write_plain, write_single_quoted, write_double_quoted).

import type { ParameterKey, ParameterValue } from './lock-entry.ts';
import { pythonFloat } from './python-text.ts';
import { isList, isMapping, type ValueMap } from './values.ts';
import { parseYaml, readsAsText } from './yaml-values.ts';

const width = 80;
/** A key this long stands behind a `?`. */
const longKey = 123;

/** YAML text of a map, with a line break at the end. */
export function writeYaml(value: ValueMap): string {
  const page = new Page(sharedIn(value));
  writeMap(page, value, 0);
  return `${page.text.replace(/^\n/, '')}\n`;
}

/** Text so far, the column it ends in, counted in code points, and the lists and maps that stand in more than one place. */
class Page {
  text = '';
  column = 0;
  private readonly shared: ReadonlyMap<ParameterValue, string>;
  private readonly written = new Set<ParameterValue>();

  constructor(shared: ReadonlyMap<ParameterValue, string>) {
    this.shared = shared;
  }

  /** `&id001` where a shared value stands first, `*id001` where it stands again. */
  anchorOf(value: ParameterValue): string | undefined {
    const name = this.shared.get(value);
    if (name === undefined) return undefined;
    if (this.written.has(value)) return `*${name}`;
    this.written.add(value);
    return `&${name}`;
  }

  add(text: string): void {
    this.text += text;
    this.column += [...text].length;
  }

  /** A new line that starts `indent` columns in. */
  line(indent: number): void {
    this.text += `\n${' '.repeat(indent)}`;
    this.column = indent;
  }
}

function writeMap(page: Page, map: ValueMap, indent: number, onOpenLine = false): void {
  for (const [i, [key, value]] of [...map].entries()) {
    if (i > 0 || !onOpenLine) page.line(indent);
    const text = scalarText(key);
    if ([...text].length < longKey && !/[\n\u0085\u2028\u2029]/.test(text)) {
      writeScalar(page, key, { indent, isKey: true });
      page.add(':');
    } else {
      page.add('? ');
      writeScalar(page, key, { indent: indent + 2, isKey: false });
      page.line(indent);
      page.add(':');
    }
    writeValue(page, value, { indent, after: 'key' });
  }
}

function writeList(page: Page, items: readonly ParameterValue[], indent: number, onOpenLine: boolean): void {
  for (const [i, item] of items.entries()) {
    if (i > 0 || !onOpenLine) page.line(indent);
    page.add('-');
    writeValue(page, item, { indent, after: 'dash' });
  }
}

/** What follows `key:` or `-`, on its line or below. */
function writeValue(
  page: Page,
  value: ParameterValue,
  { indent, after }: { readonly indent: number; readonly after: 'key' | 'dash' },
): void {
  const anchor = page.anchorOf(value);
  if (anchor !== undefined) page.add(` ${anchor}`);
  if (anchor?.startsWith('*')) return;
  const onOpenLine = after === 'dash' && anchor === undefined;
  if (isList(value) && value.length > 0) {
    if (onOpenLine) page.add(' ');
    writeList(page, value, after === 'dash' ? indent + 2 : indent, onOpenLine);
  } else if (isMapping(value) && value.size > 0) {
    if (onOpenLine) page.add(' ');
    writeMap(page, value, indent + 2, onOpenLine);
  } else if (value !== null || after === 'dash') {
    page.add(' ');
    if (isList(value)) page.add('[]');
    else if (isMapping(value)) page.add('{}');
    else if (value !== null) writeScalar(page, value, { indent: indent + 2, isKey: false });
  }
}

/** Lists and maps met more than once, numbered in the order they are met again. */
function sharedIn(root: ParameterValue): ReadonlyMap<ParameterValue, string> {
  const [seen, shared] = [new Set<ParameterValue>(), new Map<ParameterValue, string>()];
  const visit = (value: ParameterValue): void => {
    if (value === null || typeof value !== 'object') return;
    if (seen.has(value)) {
      if (!shared.has(value)) shared.set(value, `id${String(shared.size + 1).padStart(3, '0')}`);
      return;
    }
    seen.add(value);
    for (const item of value.values()) visit(item as ParameterValue);
  };
  visit(root);
  return shared;
}

type Place = {
  /** Column where folded lines start. */
  readonly indent: number;
  /** Keys are never folded. */
  readonly isKey: boolean;
};

function writeScalar(page: Page, value: ParameterKey, place: Place): void {
  const text = scalarText(value);
  if (typeof value !== 'string') {
    writePlain(page, text, place);
    return;
  }
  const before = { text: page.text, column: page.column };
  const { plain, quotable } = allowedStyles(text);
  if (plain && readsAsText(text)) writePlain(page, text, place);
  else if (quotable && !text.includes("'")) writeSingleQuoted(page, text, place);
  else writeDoubleQuoted(page, [...text], place);
  const written = page.text.slice(before.text.length);
  if (!written.includes('\n') || (!place.isKey && readsBack(written, text))) return;
  Object.assign(page, before);
  writeDoubleQuoted(page, [...text], { ...place, isKey: true });
}

function readsBack(written: string, text: string): boolean {
  try {
    return (parseYaml(`- ${written}`, { file: 'text' }) as readonly ParameterValue[])[0] === text;
  } catch {
    return false;
  }
}

function scalarText(value: ParameterKey): string {
  if (value === null) return 'null';
  if (typeof value !== 'number') return String(value);
  return pythonFloat(value).replace(/^(-?)(inf|nan)$/, '$1.$2');
}

/** Which styles can hold a text at all. */
function allowedStyles(text: string): { readonly plain: boolean; readonly quotable: boolean } {
  const oneLine = /^[ -~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]*$/u.test(text);
  const indicators = /^(?:---|\.\.\.|[#,[\]{}&*!|>'"%@`]|[?-](?: |$))|:(?: |$)| #/.test(text);
  return { plain: oneLine && text !== '' && !indicators && !text.startsWith(' ') && !text.endsWith(' '), quotable: oneLine };
}

function writePlain(page: Page, text: string, { indent, isKey }: Place): void {
  for (const run of text.match(/ +|[^ ]+/g) ?? []) {
    if (run.startsWith(' ')) {
      if (run.length === 1 && page.column >= width && !isKey) page.line(indent);
      else page.add(run);
    } else {
      if ([...run].length + page.column > width && page.column > indent) page.line(indent);
      page.add(run);
    }
  }
}

function writeSingleQuoted(page: Page, text: string, { indent, isKey }: Place): void {
  page.add("'");
  let at = 0;
  for (const run of text.match(/ +|[^ ]+/g) ?? []) {
    const inside = at > 0 && at + run.length < text.length;
    if (run === ' ' && page.column > width && !isKey && inside) page.line(indent);
    else page.add(run);
    at += run.length;
  }
  page.add("'");
}

const shortEscapes: Readonly<Record<string, string>> = {
  '\0': '\\0',
  '\x07': '\\a',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
  '\x1b': '\\e',
  '"': '\\"',
  '\\': '\\\\',
  '\u0085': '\\N',
  '\u00a0': '\\_',
  '\u2028': '\\L',
  '\u2029': '\\P',
};

const plainInQuotes = /^[ !#-[\]-~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]$/u;

/** `start` is where the text not yet written begins; a line may break at a space, or after an escape. */
function writeDoubleQuoted(page: Page, text: readonly string[], { indent, isKey }: Place): void {
  page.add('"');
  let start = 0;
  const flush = (end: number): void => {
    if (start >= end) return;
    page.add(text.slice(start, end).join(''));
    start = end;
  };
  for (let end = 0; end <= text.length; end++) {
    const character = text[end];
    if (character === undefined || !plainInQuotes.test(character)) {
      flush(end);
      if (character !== undefined) {
        page.add(escaped(character));
        start = end + 1;
      }
    }
    const mayBreak = end > 0 && end < text.length - 1 && (character === ' ' || start >= end) && !isKey;
    if (!mayBreak || page.column + end - start <= width) continue;
    // A folded line loses its break and the spaces around it; a backslash keeps them, and is left out where one space is all there is.
    const backslash = needsBackslash(text, start, end);
    flush(end);
    if (backslash) page.add('\\');
    page.line(indent);
    if (text[start] === ' ') {
      if (backslash) page.add('\\');
      else start += 1;
    }
  }
  page.add('"');
}

function needsBackslash(text: readonly string[], start: number, end: number): boolean {
  const space = text.indexOf(' ', end);
  if (space < 0) return true;
  const lineBreak = text.indexOf('\n', end);
  const at = lineBreak >= 0 && lineBreak < space ? lineBreak : space;
  const next = text[at + 1];
  if (next === undefined) return true;
  if (text[at] === '\n' && next !== ' ') return true;
  const word = text.slice(end, at);
  const plain = !word.includes('"') && !word.includes("'") && next !== ' ' && next !== '\n';
  return !(plain && !(text[end - 1] === ' ' && text[end] === ' ') && start !== end);
}

function escaped(character: string): string {
  const short = shortEscapes[character];
  if (short !== undefined) return short;
  const point = character.codePointAt(0)!;
  const digits = point.toString(16).toUpperCase();
  return point <= 0xff
    ? `\\x${digits.padStart(2, '0')}`
    : point <= 0xffff
      ? `\\u${digits.padStart(4, '0')}`
      : `\\U${digits.padStart(8, '0')}`;
}
