// Run a pipeline of DVC's own files, change a parameter, and see what runs again and why.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type ReproEvent, repro, status } from '../src/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'clinfuse-example-'));
writeFileSync(join(folder, 'letters.txt'), 'c\na\nb\na\n');
writeFileSync(join(folder, 'params.yaml'), 'keep: 2\n');
writeFileSync(
  join(folder, 'dvc.yaml'),
  `stages:
  sort:
    cmd: sort letters.txt > sorted.txt
    deps: [letters.txt]
    outs: [sorted.txt]
  first:
    cmd: head -n \${keep} sorted.txt > first.txt
    deps: [sorted.txt]
    params: [keep]
    outs: [first.txt]
`,
);

const onEvent = (event: ReproEvent) => {
  if (event.kind === 'end') console.log(`  ${event.stage}: ${event.outcome} (${event.reason})`);
};
const run = () => repro({ folder, environment: process.env, since: new Date().toISOString(), onEvent });

console.log('the first time');
await run();

writeFileSync(join(folder, 'params.yaml'), 'keep: 3\n');
for (const { stage, changes } of await status({ folder })) console.log(`${stage}: ${changes.length} changes`);

console.log('with another parameter');
await run();
console.log(`the first letters: ${readFileSync(join(folder, 'first.txt'), 'utf8').trim().replaceAll('\n', ' ')}`);

// What ran before with the same inputs is not run again: its outputs come out of the cache.
writeFileSync(join(folder, 'params.yaml'), 'keep: 2\n');
console.log('with the first parameter again');
await run();

rmSync(folder, { recursive: true });
