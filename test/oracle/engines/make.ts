// How `trl/` came about: TRL 1.16 (transformers 5.23, PEFT 0.21, PyTorch 2.15, on a CPU) fine-tuned the tiny model of the tests from the
// configuration and the rows that `llm train --engine trl` wrote, and PEFT gave the logits of what it had learned. With the environment that
// bench/peers/setup.sh makes: PATH="$CLINFUSE_CACHE/peers/engines/bin:$PATH" node test/oracle/engines/make.ts

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { temporaryFolder } from '../../../src/base/files.ts';
import { writeTinyModel } from '../../fixtures/tiny-model.ts';
import { trainWords, writeTinyPairs } from '../../fixtures/tiny-pairs.ts';

const here = join(import.meta.dirname, 'trl');
const root = resolve(import.meta.dirname, '../../..');
const scratch = temporaryFolder();
await writeTinyModel(join(scratch.path, 'model'));
writeTinyPairs(join(scratch.path, 'pairs'));
const main = join(root, 'src/cli/main.ts');
const { status } = spawnSync(process.execPath, [main, ...trainWords], { cwd: scratch.path, stdio: ['ignore', 'inherit', 'inherit'] });
if (status !== 0) throw new Error('training failed');

rmSync(here, { recursive: true, force: true });
const output = join(scratch.path, 'run/engine/output');
const kept = ['adapter_config.json', 'adapter_model.safetensors', 'trainer_state.json'];
for (const folder of ['.', ...readdirSync(output).filter((name) => name.startsWith('checkpoint-'))]) {
  mkdirSync(join(here, 'output', folder), { recursive: true });
  for (const name of readdirSync(join(output, folder)).filter((one) => kept.includes(one)))
    cpSync(join(output, folder, name), join(here, 'output', folder, name));
}
const ids = [[1, 20, 300, 41, 7, 99], [1, 5, 6, 7, 8, 9]];
const script = join(root, 'bench/peers/engines-check.py');
const words = [script, 'logits', join(scratch.path, 'model'), join(scratch.path, 'run/engine/output'), JSON.stringify(ids)];
const logits = JSON.parse(execFileSync('python', words, { encoding: 'utf8' }).trim().split('\n').at(-1)!) as number[][][];
// The first of many, and those of the last token: the model's vocabulary is large.
const some = logits.map((row) => row.map((token) => token.slice(0, 64).map((value) => Number(value.toPrecision(8)))));
writeFileSync(join(here, 'logits.json'), `${JSON.stringify({ ids, logits: some })}\n`);
scratch.remove();
