import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { reproHolder, type StageUnderWay, takeReproLock } from '../../src/pipeline/repro-lock.ts';
import { startOf } from '../../src/pipeline/shell.ts';

const home = mkdtempSync(join(tmpdir(), 'clinfuse-lock-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const since = '2026-01-01T00:00:00Z';
let count = 0;

function place() {
  const dvcTmp = join(home, String(count++));
  const claims = join(dvcTmp, 'runs');
  mkdirSync(claims, { recursive: true });
  const told: string[] = [];
  const stop = new AbortController();
  const options = { dvcTmp, since, signal: stop.signal, onWait: (line: string) => void told.push(line) };
  return { dvcTmp, claims, told, stop, take: () => takeReproLock(claims, options) };
}

const underWay: readonly StageUnderWay[] = [{ stage: 'train', groups: [{ group: 7, started: 'x' }], persisted: [] }];
const claim = (more: object) =>
  JSON.stringify({ pid: process.pid, started: startOf(process.pid), host: hostname(), since, underWay, ...more });

describe('the lock of a run', () => {
  test('one at a time holds it, however many ask at once', async () => {
    const { take, claims } = place();
    let holding = 0;
    let most = 0;
    const one = async () => {
      const lock = await take();
      most = Math.max(most, ++holding);
      await Promise.resolve();
      holding--;
      lock.release();
    };
    await Promise.all(Array.from({ length: 5 }, one));
    expect(most).toBe(1);
    expect(readdirSync(claims)).toEqual([]);
  });

  test.each([
    ['a process that is gone', { pid: 2 ** 22 + 1 }],
    ['another process under the same number', { started: 'earlier' }],
  ])('the claim of %s counts no more, and says what it had under way', async (_, more) => {
    const { take, claims, told } = place();
    writeFileSync(join(claims, 'dead.json'), claim(more));
    const lock = await take();
    expect(lock.abandoned).toEqual([underWay]);
    expect(told).toEqual([]);
    expect(readdirSync(claims)).toContain('dead.json');
    lock.forgetAbandoned();
    lock.release();
    expect(readdirSync(claims)).toEqual([]);
  });

  test.each([
    ['a living run', claim({}), new RegExp(`^waiting for the run of process ${process.pid} on ${hostname()}, since ${since}$`)],
    ['a run on another machine', claim({ host: 'far' }), /on far, since .*; should it be gone, remove .*other\.json$/],
  ])('%s is waited for, and named once', async (_, text, says) => {
    const { take, claims, dvcTmp, told, stop } = place();
    writeFileSync(join(claims, 'other.json'), text);
    const waiting = take();
    await expect.poll(() => told).toHaveLength(1);
    expect(told[0]).toMatch(says);
    expect(`waiting for ${reproHolder(claims, dvcTmp)}`).toBe(told[0]);
    rmSync(join(claims, 'other.json'));
    (await waiting).release();
    stop.abort();
  });

  test('waiting ends when it is interrupted, without a trace', async () => {
    const { take, claims, stop } = place();
    writeFileSync(join(claims, 'other.json'), claim({}));
    const waiting = take();
    stop.abort();
    await expect(waiting).rejects.toThrow(/abort/);
    expect(readdirSync(claims)).toEqual(['other.json']);
  });

  test('a stage of DVC under way is waited for; what a dead DVC left is not', async () => {
    const { take, dvcTmp, told } = place();
    const rwlock = join(dvcTmp, 'rwlock');
    writeFileSync(rwlock, JSON.stringify({ write: { '/x': { pid: 2 ** 22 + 1, cmd: 'dvc repro' } }, read: {} }));
    (await take()).release();
    writeFileSync(rwlock, JSON.stringify({ write: {}, read: { '/x': [{ pid: process.pid, cmd: 'dvc repro' }] } }));
    const waiting = take();
    await expect.poll(() => told).toEqual([`waiting for DVC, process ${process.pid}, at work in this repository`]);
    writeFileSync(rwlock, '{}');
    (await waiting).release();
  });
});
