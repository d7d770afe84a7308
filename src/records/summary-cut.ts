// Fits a question about two records into so many tokens, record by record. Cutting the question's end instead would take away record B's
// readings and the question itself, and with them most of what tells people apart.
//
// Each record may take half of what the frame of the question leaves; what one does not need the other gets. Within a record lines are taken
// by worth until nothing more fits, and printed in their old order: first the readings (height and weight say most), then allergies, then in
// turns one year of conditions (newest first), one medication, one procedure. A line that does not fit is passed over for a shorter one;
// a section without lines goes with its header. Cost: each line is counted once, and the rest of a long record not at all: once its lines
// are clearly more than the budget nothing is asked of their sum, and once nothing is left nothing of theirs.
//
//   OBSERVATIONS 2 lines of 30, CONDITIONS 2 years of 20, budget 90: both readings and the newer year

import { pairPrompt, splitPairPrompt } from './summary.ts';

export type CutOptions = {
  /** Most tokens of the whole question, special ones not counted. */
  readonly tokens: number;
  /** Tokens of a piece of text. */
  readonly count: (text: string) => number;
};

/** The question with its two summaries cut to fit; a text that is no such question, or that fits, comes back as it is. */
export function cutPairPrompt(text: string, { tokens, count: measure }: CutOptions): string {
  const count = remembered(measure);
  const summaries = splitPairPrompt(text);
  if (summaries === undefined || !exceeds(text, { tokens, count })) return text;
  const sizes = summaries.map((summary) => (exceeds(summary, { tokens, count }) ? tokens : count(summary)));
  // Pieces counted one by one may differ from the whole by a few tokens: what is too much is taken off the budget.
  for (let budget = tokens - count(pairPrompt('', '')); budget > 0; ) {
    const half = Math.floor(budget / 2);
    const [a, b] = summaries.map((summary, i) => cutSummary(summary, { tokens: Math.max(half, budget - sizes[1 - i]!), count }));
    const cut = pairPrompt(a!, b!);
    const excess = count(cut) - tokens;
    if (excess <= 0) return cut;
    budget -= Math.max(excess, 2);
  }
  return pairPrompt('', '');
}

/** The lines of a summary that say most, within so many tokens. */
export function cutSummary(summary: string, { tokens, count }: CutOptions): string {
  if (!exceeds(summary, { tokens, count })) return summary;
  const sections = summary.split('\n\n').map(readSection);
  const kept = sections.map(() => new Set<number>());
  let left = tokens;
  for (const { section, line } of byWorth(sections)) {
    if (left <= 0) break;
    const { header, lines } = sections[section]!;
    const cost = count(`${lines[line]!}\n`) + (kept[section]!.size === 0 && header !== '' ? count(`${header}\n`) + 1 : 0);
    if (cost > left) continue;
    kept[section]!.add(line);
    left -= cost;
  }
  return sections
    .flatMap(({ header, lines }, i) => {
      if (kept[i]!.size === 0) return [];
      return [[...(header === '' ? [] : [header]), ...lines.filter((_, line) => kept[i]!.has(line))].join('\n')];
    })
    .join('\n\n');
}

/** Each piece is counted once. */
function remembered(count: CutOptions['count']): CutOptions['count'] {
  const known = new Map<string, number>();
  return (text) => {
    const found = known.get(text) ?? count(text);
    known.set(text, found);
    return found;
  };
}

/** Whether a text has more than so many tokens. Lines counted one by one may differ a little from the whole: only a clear excess ends early. */
function exceeds(text: string, { tokens, count }: CutOptions): boolean {
  let sum = 0;
  for (const line of text.split('\n')) {
    sum += count(line);
    if (sum > 1.5 * tokens + 32) return true;
  }
  return count(text) > tokens;
}

type Section = { readonly name: string; readonly header: string; readonly lines: readonly string[] };
type Place = { readonly section: number; readonly line: number };

/** `ALLERGIES: a; b` is one line and has no header of its own. */
function readSection(text: string): Section {
  const [first = '', ...lines] = text.split('\n');
  const name = first.split(':')[0]!;
  return lines.length === 0 ? { name, header: '', lines: [first] } : { name, header: first, lines };
}

function byWorth(sections: readonly Section[]): readonly Place[] {
  const places = (name: string): readonly Place[] => {
    const section = sections.findIndex((one) => one.name === name);
    return section < 0 ? [] : sections[section]!.lines.map((_, line) => ({ section, line }));
  };
  const turns = [places('CONDITIONS').toReversed(), places('MEDICATIONS'), places('PROCEDURES')];
  const longest = Math.max(...turns.map(({ length }) => length));
  const inTurns = Array.from({ length: longest }, (_, turn) => turns.flatMap((list) => list[turn] ?? [])).flat();
  return [...places('OBSERVATIONS'), ...places('ALLERGIES'), ...inTurns];
}
