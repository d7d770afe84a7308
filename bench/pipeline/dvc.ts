// Real DVC, driven command by command.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import type { Report } from '../../test/pipeline/observe.ts';
import { cache } from '../populations.ts';

export type Answer = { readonly exit: number; readonly stdout: string; readonly stderr: string };

/** The folder of DVC's programs (bench/peers/setup.sh); nothing where it is not installed. */
export function dvcPrograms(): string | undefined {
  const folder = join(cache, 'peers', 'dvc', 'bin');
  return existsSync(join(folder, 'dvc')) ? folder : undefined;
}

/** Settings under which DVC neither calls home nor shares what it remembers with other projects. */
export function dvcEnvironment(siteCache: string): NodeJS.ProcessEnv {
  return { ...process.env, DVC_NO_ANALYTICS: '1', DVC_SITE_CACHE_DIR: siteCache, SHELL: '/bin/sh', PYTHONUTF8: '1', CI: '1' };
}

/** A process that has DVC loaded and forks for each command. */
export class Dvc implements Disposable {
  readonly #process: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  readonly #siteCache = mkdtempSync(join(tmpdir(), 'clinfuse-dvc-'));

  constructor(programs: string) {
    const script = join(import.meta.dirname, '..', 'peers', 'dvc-commands.py');
    this.#process = spawn(join(programs, 'python'), [script], {
      env: dvcEnvironment(this.#siteCache),
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#answers = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
  }

  /** One command, to its end. Calls must not overlap. */
  async run(folder: string, ...words: readonly string[]): Promise<Answer> {
    this.#process.stdin!.write(`${JSON.stringify({ folder, words })}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`dvc: ended during: dvc ${words.join(' ')}`);
    return JSON.parse(value) as Answer;
  }

  async repro(folder: string, words: readonly string[]): Promise<Report> {
    const { exit, stdout, stderr } = await this.run(folder, 'repro', '--keep-going', ...words);
    const said = (pattern: RegExp) => [...`${stdout}\n${stderr}`.matchAll(pattern)].map((match) => match[1]!).sort();
    return {
      ok: exit === 0,
      ran: said(/^Running stage '(.*)':$/gm),
      restored: said(/^Stage '(.*)' is cached - skipping run, checking out outputs/gm),
      skipped: said(/^Stage '(.*)' didn't change, skipping$/gm),
    };
  }

  /** Names of the stages that `dvc status` finds changed; null where it refuses. */
  async changed(folder: string): Promise<readonly string[] | null> {
    const { exit, stdout } = await this.run(folder, 'status', '--json');
    return exit === 0 ? Object.keys(JSON.parse(stdout.trim().split('\n').at(-1)!) as object).sort() : null;
  }

  [Symbol.dispose](): void {
    this.#process.stdin!.end();
    rmSync(this.#siteCache, { recursive: true, force: true });
  }
}
