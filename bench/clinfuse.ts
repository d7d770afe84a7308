import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const main = join(import.meta.dirname, '..', 'src', 'cli', 'main.ts');

export type Measured<T> = { readonly output: T; readonly seconds: number };

/** Runs one verb as its users do, in a process of its own, and reads its JSON. */
export function clinfuse<T>(...words: readonly (string | number)[]): Measured<T> {
  const start = performance.now();
  const run = spawnSync(process.execPath, [main, 'er', ...words.map(String), '--json', '--quiet'], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const seconds = (performance.now() - start) / 1000;
  if (run.status !== 0) throw new Error(`bench: clinfuse er ${words.join(' ')}: exit ${run.status}: ${run.stderr}`);
  return { output: JSON.parse(run.stdout) as T, seconds };
}

/** The best of several runs: on a shared machine the fastest is the least disturbed. */
export function best<T>(times: number, measure: () => Measured<T>): Measured<T> {
  return Array.from({ length: times }, measure).reduce((a, b) => (b.seconds < a.seconds ? b : a));
}
