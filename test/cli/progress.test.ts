import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { drawnProgress } from '../../src/cli/progress.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

/** What is written where there is no terminal, when each step takes so many seconds. */
function written(seconds: number, note?: string): string[] {
  const said: string[] = [];
  const out = { isTTY: false, write: (text: string) => said.push(text) } as unknown as NodeJS.WriteStream;
  const step = drawnProgress(out).step('training', { total: 10, unit: 'steps' });
  for (let done = 0; done < 10; done++) {
    vi.advanceTimersByTime(1000 * seconds);
    step.advance(1, note);
  }
  step.finish();
  return said;
}

describe('progress where there is no terminal', () => {
  test('is a line for every tenth, with the note and how long is left', () => {
    const lines = written(4, 'loss 2.5');
    expect(lines).toHaveLength(10);
    expect(lines[1]).toBe('training: 20 %, 0.25 steps/s, 32 s left, loss 2.5\n');
    expect(lines[9]).toBe('training: 40 s\n');
  });

  test.each([
    { seconds: 0.5, rate: '2.0' },
    { seconds: 0.25, rate: '4.0' },
    { seconds: 20, rate: '0.05' },
  ])('keeps two digits of slow work: a step in $seconds s is $rate steps/s', ({ seconds, rate }) => {
    expect(written(seconds).at(-2)).toMatch(new RegExp(`, ${rate} steps/s, [\\d.]+ s left\n$`));
  });

  test('is silent until it is worth a line', () => expect(written(0.1)).toEqual(['training: 1.0 s\n']));
});
