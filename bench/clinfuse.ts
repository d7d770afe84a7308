import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const main = join(import.meta.dirname, '..', 'src', 'cli', 'main.ts');

/** Preloaded into the process: on its last line it says its own peak memory. ru_maxrss will not do, it starts at the parent's. */
const tellPeak = `data:text/javascript,${encodeURIComponent(`
  import { existsSync, readFileSync } from 'node:fs';
  import { isMainThread } from 'node:worker_threads';
  const status = '/proc/self/status';
  const peakKb = () => existsSync(status) ? /VmHWM:\\s*(\\d+)/.exec(readFileSync(status, 'utf8'))[1] : process.resourceUsage().maxRSS;
  if (isMainThread) process.on('exit', () => process.stderr.write('\\npeak ' + peakKb() + '\\n'));
`)}`;

export type Measured<T> = { readonly output: T; readonly seconds: number; readonly peakMb: number };

/** Runs one verb as its users do, in a process of its own, and reads its JSON. */
export function clinfuse<T>(...words: readonly (string | number)[]): Measured<T> {
  const start = performance.now();
  const run = spawnSync(process.execPath, ['--import', tellPeak, main, ...words.map(String), '--json', '--quiet'], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const seconds = (performance.now() - start) / 1000;
  if (run.status !== 0) throw new Error(`bench: clinfuse ${words.join(' ')}: exit ${run.status}: ${run.stderr}`);
  return { output: JSON.parse(run.stdout) as T, seconds, peakMb: Number(/peak (\d+)\n$/.exec(run.stderr)?.[1] ?? Number.NaN) / 1024 };
}

/** The fastest of several runs: on a shared machine it is the least disturbed. */
export function fastest<T extends { readonly seconds: number }>(runs: readonly T[]): T {
  return runs.reduce((a, b) => (b.seconds < a.seconds ? b : a));
}

/** Measures so often and gives the fastest run. */
export function best<T extends { readonly seconds: number }>(times: number, measure: () => T): T {
  return fastest(Array.from({ length: times }, measure));
}
