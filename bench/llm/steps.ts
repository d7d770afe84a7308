// Training steps here and in PyTorch + PEFT: every run a process of its own, the four kinds in turn, the fastest step of all rounds.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

import { atMost, type Row } from '../row.ts';
import { pythonOf } from '../splink.ts';
import { smollm2 } from './model.ts';

type Step = { readonly best_s: number; readonly peak_mb: number; readonly loss: number };
type Shape = { readonly name: string; readonly arch: string; readonly tokens: number; readonly exact: number; readonly memory?: number };

const shapes: readonly Shape[] = [
  { name: 'SmolLM2-135M', arch: 'smollm2', tokens: 256, exact: 1.1, memory: 0.6 },
  { name: '2 layers of Gemma 3 4B', arch: 'gemma3', tokens: 512, exact: 1.2 },
  { name: '2 layers of Llama 3 8B', arch: 'llama', tokens: 512, exact: 1.2 },
];

export async function* steps({ quick }: { readonly quick: boolean }): AsyncIterable<Row> {
  const python = pythonOf('llm');
  const gguf = smollm2();
  for (const { name, arch, tokens, exact, memory } of shapes) {
    const more = [...(arch === 'smollm2' ? ['--gguf', gguf!] : []), '--tokens', String(tokens), '--steps', quick ? '3' : '5'];
    if (arch === 'smollm2' && !gguf) continue;
    const ours = (precision: string) => run(process.execPath, [join(import.meta.dirname, 'step.ts'), arch, precision, ...more]);
    const theirs = (dtype: string) =>
      python && run(python, [join(import.meta.dirname, '..', 'peers', 'lora-step.py'), arch, dtype, ...more]);
    const runs = { exact: [] as Step[], float32: [] as Step[], fast: [] as Step[], bfloat16: [] as Step[] };
    for (let round = 0; round < (quick ? 1 : 3); round++) {
      runs.exact.push(ours('exact'));
      const float32 = theirs('float32');
      if (float32) runs.float32.push(float32);
      runs.fast.push(ours('fast'));
      const bfloat16 = theirs('bfloat16');
      if (bfloat16) runs.bfloat16.push(bfloat16);
    }
    const best = (list: readonly Step[]) => Math.min(...list.map(({ best_s }) => best_s));
    const peak = (list: readonly Step[]) => Math.min(...list.map(({ peak_mb }) => peak_mb));
    const label = `${name}, ${tokens} tokens`;
    const beside = (kind: 'float32' | 'bfloat16', mine: readonly Step[]): Partial<Row> =>
      python
        ? { peer: `${best(runs[kind]).toFixed(3)} s PyTorch ${kind}`, ratio: best(runs[kind]) / best(mine) }
        : { peer: 'not installed' };
    const row = (figure: string, mine: readonly Step[], kind: 'float32' | 'bfloat16', bound: number): Row => {
      const measured = beside(kind, mine);
      return { figure, value: best(mine), unit: 's', ...measured, must: `>= ${bound}x`, ok: (measured.ratio ?? bound) >= bound };
    };
    yield row(`${label}: exact step`, runs.exact, 'float32', exact);
    if (python && memory) {
      const share = peak(runs.exact) / peak(runs.float32);
      yield atMost(`${label}: memory, share of PyTorch float32's`, share, memory, '', {
        peer: `${Math.round(peak(runs.float32))} MB, ours ${Math.round(peak(runs.exact))} MB`,
      });
    }
    yield row(`${label}: fast step`, runs.fast, 'bfloat16', 1);
  }
}

/** A whole Gemma 3 4B of random weights, its base as NF4: one step of 512 tokens. */
export async function* wholeModel(): AsyncIterable<Row> {
  const { best_s, peak_mb } = run(process.execPath, [
    join(import.meta.dirname, 'step.ts'),
    ...['gemma3', 'exact', '--layers', '34', '--storage', 'nf4', '--steps', '1', '--vocabulary', '262208', '--kept', '0'],
  ]);
  yield atMost('whole Gemma 3 4B shape, QLoRA, one 512-token step: peak memory', peak_mb / 1024, 8, 'GB', {
    peer: `the step took ${best_s.toFixed(0)} s`,
  });
}

function run(program: string, words: readonly string[]): Step {
  const env = { ...process.env, HF_HUB_OFFLINE: '1' };
  return JSON.parse(
    execFileSync(program, words, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'ignore'] })
      .trim()
      .split('\n')
      .at(-1)!,
  );
}
