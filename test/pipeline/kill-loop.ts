// `kill -9` at seeded random moments of `clinfuse repro`, over a pipeline of six stages. Beside it the same pipeline runs undisturbed: after
// every round both must be in the same state. The commands that a killed runner leaves go on writing, slowly: the next run must not meet them.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

import { random } from '../../src/base/random.ts';

/** One output is kept between runs and grows, one is a folder, one stays out of the cache, one is written slowly and one in the background. */
const dvcYaml = `stages:
  prepare:
    cmd: sort data.txt > clean.txt
    deps: [data.txt]
    params: [seed]
    outs: [clean.txt]
  split:
    cmd:
    - mkdir -p parts/deep
    - for i in 1 2 3 4; do echo "$i $(cat params.yaml)" > parts/deep/$i.txt; sleep 0.02; done
    deps: [clean.txt, params.yaml]
    outs: [parts]
  features:
    cmd: for f in parts/deep/*; do cat $f >> features.txt; sleep 0.02; done
    deps: [parts]
    outs: [features.txt]
  history:
    cmd: cat features.txt >> history.txt; sleep 0.03; echo end >> history.txt
    deps: [features.txt]
    outs:
    - history.txt:
        persist: true
  model:
    cmd: (sleep 0.05; cat features.txt clean.txt > model.txt) & echo half > model.txt; wait
    deps: [features.txt, clean.txt]
    outs: [model.txt]
  report:
    cmd: wc -l < model.txt > report.txt; tail -n 2 history.txt >> report.txt
    deps: [model.txt, history.txt]
    metrics:
    - report.txt:
        cache: false
`;

export type KillLoopReport = {
  readonly kills: number;
  readonly rounds: number;
  /** What differed from the undisturbed run, in words; nothing may. */
  readonly differences: readonly string[];
};

/**
 * Kills until `kills` runs died in mid-work; the parameter changes every eight, among three values, so that stages also come out of the cache.
 *
 * @param options.folder an empty folder to work in
 */
export async function killLoop({
  folder,
  kills,
  seed,
}: {
  readonly folder: string;
  readonly kills: number;
  readonly seed: number;
}): Promise<KillLoopReport> {
  const { float } = random('kills', seed);
  const [disturbed, calm] = ['disturbed', 'calm'].map((name) => makePipeline(join(folder, name))) as [string, string];
  const differences: string[] = [];
  let killed = 0;
  let rounds = 0;
  while (killed < kills) {
    rounds++;
    for (const place of [disturbed, calm]) writeFileSync(join(place, 'params.yaml'), `seed: ${rounds % 3}\n`);
    const began = performance.now();
    const jobs = 1 + (rounds % 2);
    await repro(calm, { jobs });
    const length = performance.now() - began;
    for (let i = 0; i < 8 && killed < kills; i++)
      if (await repro(disturbed, { jobs, killAfterMs: (0.15 + 0.95 * float()) * length })) killed++;
    await repro(disturbed, { jobs });
    const [here, there] = [stateOf(disturbed), stateOf(calm)];
    for (const name of new Set([...here.keys(), ...there.keys()])) {
      if (here.get(name) !== there.get(name)) differences.push(`round ${rounds}: ${name}`);
    }
    differences.push(...brokenObjects(disturbed).map((name) => `round ${rounds}: cache: ${name}`));
  }
  return { kills: killed, rounds, differences };
}

function makePipeline(folder: string): string {
  mkdirSync(join(folder, '.dvc'), { recursive: true });
  writeFileSync(join(folder, '.dvc', 'config'), '[core]\n    no_scm = True\n');
  writeFileSync(join(folder, 'dvc.yaml'), dvcYaml);
  writeFileSync(join(folder, 'data.txt'), 'b\na\nc\n');
  return folder;
}

/** Runs to the end, or to a `kill -9` after some milliseconds; returns whether that came before the end. */
function repro(folder: string, { jobs, killAfterMs }: { readonly jobs: number; readonly killAfterMs?: number }): Promise<boolean> {
  const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
  const child = spawn(process.execPath, [main, 'repro', '--quiet', '--jobs', String(jobs), '--cwd', folder], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  return new Promise((done, fail) => {
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      if (signal === 'SIGKILL') done(true);
      else if (code === 0) done(false);
      else fail(new Error(`repro ended with ${code ?? signal}: ${said}`));
    });
  });
}

/** Every file that is not DVC's own, with its content; dvc.lock among them. */
function stateOf(folder: string): ReadonlyMap<string, string> {
  return new Map(filesIn(folder, (name) => name !== '.dvc').map((file) => [relative(folder, file), readFileSync(file, 'utf8')]));
}

/** Objects whose content is not what their name says. */
function brokenObjects(folder: string): readonly string[] {
  const cache = join(folder, '.dvc', 'cache', 'files', 'md5');
  return filesIn(cache, () => true)
    .map((file) => ({ name: relative(cache, file).replace('/', ''), md5: createHash('md5').update(readFileSync(file)).digest('hex') }))
    .filter(({ name, md5 }) => name.replace('.dir', '') !== md5)
    .map(({ name }) => name);
}

function filesIn(folder: string, takes: (name: string) => boolean): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter(takes)
    .flatMap((name) => (statSync(join(folder, name)).isDirectory() ? filesIn(join(folder, name), takes) : [join(folder, name)]));
}
