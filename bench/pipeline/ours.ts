// `clinfuse repro` and `clinfuse status`, each a process of its own, as users call them.

import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';

import type { ReproReport } from '../../src/pipeline/run.ts';
import { type Program, reportOf } from '../../test/pipeline/program.ts';
import type { Answer } from './dvc.ts';

const main = join(import.meta.dirname, '..', '..', 'bin', 'clinfuse');
const environment = { ...process.env, SHELL: '/bin/sh' };

export const ours: Program = {
  async repro(folder, words) {
    const { exit, stdout } = await run(folder, 'repro', ...words, '--json', '--quiet');
    return reportOf(stdout === '' ? [] : (JSON.parse(stdout) as ReproReport).stages, exit === 0);
  },

  async changed(folder) {
    const { exit, stdout } = await run(folder, 'status', '--json', '--quiet');
    return exit === 0 ? Object.keys(JSON.parse(stdout) as object).sort() : null;
  },
};

/** A repro whose end alone counts. */
export function repro(folder: string): void {
  const { status, stderr } = spawnSync(process.execPath, [main, 'repro', '--quiet'], { cwd: folder, encoding: 'utf8', env: environment });
  if (status !== 0) throw new Error(`bench: clinfuse repro: exit ${status}: ${stderr}`);
}

function run(folder: string, ...words: readonly string[]): Promise<Answer> {
  const child = spawn(process.execPath, [main, ...words], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], env: environment });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((done, fail) => {
    child.on('error', fail);
    child.on('close', (code) => done({ exit: code ?? 1, stdout, stderr }));
  });
}
