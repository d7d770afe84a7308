import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { temporaryFolder } from '../../src/base/files.ts';
import type { LockEntry } from '../../src/pipeline/lock-entry.ts';
import { readLock, writeLock } from '../../src/pipeline/lock-file.ts';
import { oracle } from './oracle.ts';

const scratch = temporaryFolder();
afterAll(scratch.remove);

let count = 0;
function folderWith(lock?: string): string {
  const folder = join(scratch.path, String(count++));
  mkdirSync(folder);
  if (lock !== undefined) writeFileSync(join(folder, 'dvc.lock'), lock);
  return folder;
}
const textOf = (folder: string) => readFileSync(join(folder, 'dvc.lock'), 'utf8');

const entry: LockEntry = {
  command: 'make',
  dependencies: [
    { path: 'b', md5: 'd751713988987e9331980363e24189ce.dir', size: 0, fileCount: 0 },
    { path: 'a.sh', md5: 'd41d8cd98f00b204e9800998ecf8427e', size: 0, isExecutable: true },
  ],
  parameters: { 'a.yaml': { z: 1n, b: 1 }, 'params.yaml': { '10': 'ten', '9': null } },
  outputs: [{ path: 'é', md5: 'd41d8cd98f00b204e9800998ecf8427e', size: 12_345_678_901 }],
};

const entryText = `  make:
    cmd: make
    deps:
    - path: a.sh
      hash: md5
      md5: d41d8cd98f00b204e9800998ecf8427e
      size: 0
      isexec: true
    - path: b
      hash: md5
      md5: d751713988987e9331980363e24189ce.dir
      size: 0
      nfiles: 0
    params:
      params.yaml:
        '10': ten
        '9':
      a.yaml:
        b: 1.0
        z: 1
    outs:
    - path: é
      hash: md5
      md5: d41d8cd98f00b204e9800998ecf8427e
      size: 12345678901
`;

describe('dvc.lock', () => {
  test('a lock that DVC wrote comes out of a rewrite with the same bytes', () => {
    const [from, to] = [folderWith(oracle.lock), folderWith()];
    for (const [name, stage] of readLock(from)) writeLock(to, name, stage);
    expect(textOf(to)).toBe(oracle.lock);
  });

  test('paths, files of parameters and their keys are sorted, params.yaml first', () => {
    const folder = folderWith();
    writeLock(folder, 'make', entry);
    expect(textOf(folder)).toBe(`schema: '2.0'\nstages:\n${entryText}`);
    expect(readLock(folder).get('make')?.parameters).toEqual(entry.parameters);
  });

  test('what belongs to others stays: stages in their order, and data sets', () => {
    const head = `schema: '2.0'\nstages:\n  first:\n    cmd: one\n`;
    const tail = `  last:\n    cmd:\n    - two\n    - three\ndatasets:\n- name: x\n  rev: 1.0\n`;
    const folder = folderWith(`${head}  make:\n    cmd: old\n${tail}`);
    expect(writeLock(folder, 'make', entry)).toBe(true);
    expect(textOf(folder)).toBe(`${head}${entryText}${tail}`);
  });

  test('nothing is written when nothing changed', () => {
    const folder = folderWith();
    expect(writeLock(folder, 'make', entry)).toBe(true);
    expect(writeLock(folder, 'make', entry)).toBe(false);
  });

  test('no file and an empty file hold no stages', () => {
    expect(readLock(folderWith()).size).toBe(0);
    expect(readLock(folderWith('')).size).toBe(0);
  });

  const stage = (lines: string) => `schema: '2.0'\nstages:\n  s:\n    cmd: c\n    deps:\n    - path: a\n${lines}`;
  test.each([
    { name: 'a lock of DVC 1', lock: 's:\n  cmd: c\n', says: 'has not schema 2.0: none' },
    { name: 'a later schema', lock: "schema: '3.0'\n", says: 'has not schema 2.0: 3.0' },
    { name: 'an entry of DVC 2', lock: stage('      md5: 0123\n'), says: 'written by DVC 2: dvc.lock: stage s: deps: a' },
    {
      name: 'another hash',
      lock: stage('      hash: etag\n      etag: x\n'),
      says: 'not supported in a lock: dvc.lock: stage s: deps: a: etag',
    },
    { name: 'a remote file', lock: stage('      hash: md5\n      cloud: {}\n'), says: 'stage s: deps: a: cloud' },
    { name: 'half a hash', lock: stage('      hash: md5\n      md5: 0123\n'), says: 'md5 is not a hash' },
    { name: 'a command that is a number', lock: "schema: '2.0'\nstages:\n  s:\n    cmd: 1\n", says: 'cmd is neither text nor a list' },
    { name: 'a merge left open', lock: "<<<<<<< HEAD\nschema: '2.0'\n", says: 'dvc.lock' },
  ])('refuses $name', ({ lock, says }) => {
    expect(() => readLock(folderWith(lock))).toThrow(says);
  });
});
