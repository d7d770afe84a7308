import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { pairPrompt, splitPairPrompt } from '../../src/records/summary.ts';
import { cutPairPrompt, cutSummary } from '../../src/records/summary-cut.ts';

/** One token a word, one a line's end. */
const count = (text: string): number => text.match(/\S+|\n/g)?.length ?? 0;

const summary = [
  'CONDITIONS:\n  2019: Acute bronchitis (disorder)\n  2021: Prediabetes (finding) *; Sprain of wrist (disorder)',
  'MEDICATIONS:\n- Amoxicillin 250 MG Oral Capsule (2019–2019)\n- Lisinopril 10 MG Oral Tablet (2022–ongoing)',
  'ALLERGIES: Aspirin; Shellfish',
  'OBSERVATIONS:\n- Body Height: 171.2 cm (2020-05-10), 171.2 cm (2021-05-10)\n- Body Weight: 70.5 kg (2021-05-10)',
  'PROCEDURES:\n- Depression screening (procedure) (2019, 2021)\n- Dental care (procedure) ()',
].join('\n\n');

describe('a summary cut to a budget', () => {
  test.each([
    { tokens: 1000, keeps: /^CONDITIONS[\s\S]*\(\)$/ },
    { tokens: 15, keeps: /^OBSERVATIONS:\n- Body Height: .*$/ },
    { tokens: 20, keeps: /^OBSERVATIONS:\n- Body Height: .*\n- Body Weight: .*$/ },
    { tokens: 24, keeps: /^ALLERGIES: Aspirin; Shellfish\n\nOBSERVATIONS:\n.*\n.*$/ },
    { tokens: 37, keeps: /^CONDITIONS:\n {2}2021: .*\n\nALLERGIES: .*\n\nOBSERVATIONS:\n.*\n.*$/ },
    { tokens: 3, keeps: /^$/ },
  ])('keeps within $tokens tokens what says most, in the old order', ({ tokens, keeps }) => {
    const cut = cutSummary(summary, { tokens, count });
    expect(cut).toMatch(keeps);
    expect(count(cut)).toBeLessThanOrEqual(tokens);
  });

  test('never takes more than it may, and only whole lines of the original', () => {
    const lines = summary.split('\n');
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100 }), (tokens) => {
        const cut = cutSummary(summary, { tokens, count });
        expect(count(cut)).toBeLessThanOrEqual(tokens);
        expect(cut.split('\n').filter((line) => !lines.includes(line))).toEqual([]);
      }),
    );
  });
});

describe('a question cut to a budget', () => {
  const frame = count(pairPrompt('', ''));

  test('gives a record what the other does not need', () => {
    const short = 'ALLERGIES: Aspirin';
    const cut = cutPairPrompt(pairPrompt(short, summary), { tokens: frame + 30, count });
    const [a, b] = splitPairPrompt(cut)!;
    expect(a).toBe(short);
    expect(count(b)).toBeGreaterThan(15);
  });

  test('keeps the readings of both records and the question at the end', () => {
    const cut = cutPairPrompt(pairPrompt(summary, summary), { tokens: frame + 40, count });
    expect(splitPairPrompt(cut)!.every((one) => one.includes('Body Height'))).toBe(true);
    expect(cut.endsWith("Answer only 'True' or 'False'.")).toBe(true);
    expect(count(cut)).toBeLessThanOrEqual(frame + 40);
  });

  test.each([
    ['fits', pairPrompt(summary, summary), 1000],
    ['is no such question', 'Is this the same patient? '.repeat(50), 10],
  ])('leaves a text alone that %s', (_, text, tokens) => {
    expect(cutPairPrompt(text, { tokens, count })).toBe(text);
  });

  const golden = resolve(import.meta.dirname, '../golden/summary');
  const texts = readdirSync(golden).filter((name) => name.endsWith('.txt'));

  test.each(texts)('takes %s apart and puts it together again', (name) => {
    const text = readFileSync(join(golden, name), 'utf8');
    expect(splitPairPrompt(pairPrompt(text, summary))).toEqual([text, summary]);
  });
});
