// A changed file of 1.5 GB: from `clinfuse repro` to its end, beside `md5sum` of the same file. The file lies in the page cache for both.

import { execFileSync } from 'node:child_process';
import { appendFileSync, closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { initProject } from '../../test/pipeline/cases.ts';
import { fastest } from '../clinfuse.ts';
import type { Row } from '../row.ts';
import { repro } from './ours.ts';
import { timed } from './timed.ts';

const least = 0.8;

export function* hashing({ folder, quick }: { readonly folder: string; readonly quick: boolean }): Generator<Row> {
  const megabytes = quick ? 150 : 1500;
  const project = join(folder, 'hashing');
  mkdirSync(project);
  initProject(project);
  const big = join(project, 'big.bin');
  fill(big, megabytes);
  writeFileSync(join(project, 'dvc.yaml'), 'stages:\n  read: { cmd: "true", deps: [big.bin] }\n');
  repro(project);
  const ours: { seconds: number }[] = [];
  const theirs: { seconds: number }[] = [];
  for (let round = 0; round < (quick ? 2 : 5); round++) {
    appendFileSync(big, 'x');
    theirs.push(timed(() => execFileSync('md5sum', [big])));
    ours.push(timed(() => repro(project)));
  }
  const [mine, peer] = [fastest(ours).seconds, fastest(theirs).seconds];
  yield {
    figure: `repro after a change of ${(megabytes / 1000).toFixed(2)} GB, whole command`,
    value: mine,
    unit: 's',
    peer: `${peer.toFixed(2)} s md5sum`,
    ratio: peer / mine,
    must: `>= ${least}x`,
    ok: peer / mine >= least,
  };
}

/** Bytes that do not repeat within a block, block after block. */
function fill(path: string, megabytes: number): void {
  const block = Buffer.alloc(1_000_000);
  for (let i = 0, state = 1; i < block.length; i++) block[i] = (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 24;
  const file = openSync(path, 'w');
  for (let i = 0; i < megabytes; i++) {
    block.writeUInt32LE(i, 0);
    writeSync(file, block);
  }
  closeSync(file);
}
