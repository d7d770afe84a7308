import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { type ReproEvent, type ReproOptions, repro } from '../../src/pipeline/run.ts';
import { status, statusJson } from '../../src/pipeline/status.ts';

const home = mkdtempSync(join(tmpdir(), 'clinfuse-repro-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

let count = 0;

/** A folder with a pipeline: text of dvc.yaml below `stages:`, and files. */
function pipeline(stages: string, files: Readonly<Record<string, string>> = {}) {
  const folder = join(home, String(count++));
  mkdirSync(join(folder, '.dvc'), { recursive: true });
  const at = (name: string) => join(folder, name);
  const write = (name: string, text: string) => writeFileSync(at(name), text);
  write('.dvc/config', '[core]\n    no_scm = True\n');
  write('dvc.yaml', `stages:\n${stages}`);
  for (const [name, text] of Object.entries(files)) write(name, text);
  const run = async (options: Partial<ReproOptions> = {}) => {
    const events: ReproEvent[] = [];
    const environment = { PATH: process.env['PATH'] };
    const report = await repro({ folder, environment, since: '2026-01-01T00:00:00Z', onEvent: (event) => events.push(event), ...options });
    const notes = events.flatMap((event) => (event.kind === 'note' ? [event.text] : []));
    const output = events.flatMap((event) => (event.kind === 'output' ? [event.text] : [])).join('');
    return { ...report, notes, output, told: report.stages.map(({ stage, outcome, reason }) => `${stage}: ${outcome}: ${reason}`) };
  };
  return { folder, at, write, run, read: (name: string) => readFileSync(at(name), 'utf8') };
}

const chain = `
  a: {cmd: cat data > a, deps: [data], params: [p], outs: [a]}
  b: {cmd: cat a > b; echo b >> b, deps: [a], outs: [b]}
  c: {cmd: cat b > c, deps: [b], outs: [c]}
`;
const chainFiles = { data: '1\n', 'params.yaml': 'p: 1\n' };

describe('repro', () => {
  test('runs what changed, and says why', async () => {
    const { run, write, read } = pipeline(chain, chainFiles);
    expect((await run()).told).toEqual(['a: ran: never run', 'b: ran: never run', 'c: ran: never run']);
    expect(read('c')).toBe('1\nb\n');
    expect((await run()).told).toEqual(['a: up to date: up to date', 'b: up to date: up to date', 'c: up to date: up to date']);
    write('data', '2\n');
    expect((await run()).told).toEqual(['a: ran: dependency data changed', 'b: ran: dependency a changed', 'c: ran: dependency b changed']);
    write('params.yaml', 'p: 2\n');
    expect((await run()).told[0]).toBe('a: ran: parameter p changed from 1 to 2');
  });

  test('what ran before with the same inputs comes out of the cache', async () => {
    const { run, write, read, at } = pipeline(chain, chainFiles);
    await run();
    write('data', '2\n');
    await run();
    write('data', '1\n');
    expect((await run()).told.map((line) => line.split(': ')[1])).toEqual(['restored', 'restored', 'restored']);
    expect(read('c')).toBe('1\nb\n');
    rmSync(at('b'));
    write('c', 'spoilt');
    expect((await run()).told.slice(1)).toEqual(['b: restored: output b is missing', 'c: restored: output c changed']);
    expect(read('c')).toBe('1\nb\n');
  });

  test('with links into the cache, figures that git keeps are files of their own', async () => {
    const stages = `\n  a: {cmd: cp data out; cp data figures.json, deps: [data], outs: [out], metrics: [figures.json: {cache: false}]}\n`;
    const { run, write, at } = pipeline(stages, { data: '1' });
    write('.dvc/config', '[core]\n    no_scm = True\n[cache]\n    type = hardlink\n');
    for (const text of ['2', '1', '2']) {
      write('data', text);
      await run();
      expect([statSync(at('out')).nlink > 1, statSync(at('figures.json')).nlink]).toEqual([true, 1]);
      writeFileSync(at('figures.json'), readFileSync(at('figures.json')));
    }
    expect((await run()).told).toEqual(['a: up to date: up to date']);
  });

  test('a failed stage stops those that read from it, and nobody else', async () => {
    const { run, write } = pipeline(
      `
  a: {cmd: 'echo one; echo two; exit 3', deps: [data], outs: [a]}
  b: {cmd: cat a > b, deps: [a], outs: [b]}
  c: {cmd: cat b > c, deps: [b], outs: [c]}
  d: {cmd: cat data > d, deps: [data], outs: [d]}
`,
      { data: 'x' },
    );
    const { stages, failed, told } = await run();
    expect(failed).toEqual(['a']);
    expect(stages[0]).toMatchObject({ fault: 'exit code 3: echo one; echo two; exit 3', lastLines: ['one', 'two'] });
    expect(told.slice(1)).toEqual(['b: not reached: needs a', 'c: not reached: needs b', 'd: ran: never run']);
    write('dvc.yaml', 'stages:\n  d: {cmd: cat data > d, deps: [data], outs: [d]}\n');
    expect((await run()).told).toEqual(['d: up to date: up to date']);
  });

  test.each([
    ['a dependency that is not there', '  a: {cmd: touch a, deps: [gone], outs: [a]}', /dependency missing: gone of stage a/],
    ['an output that was not made', '  a: {cmd: echo no, outs: [a]}', /^output not made: a$/],
    ['a parameter that is not there', '  a: {cmd: touch a, params: [gone], outs: [a]}', /gone/],
    ['a folder to run in that is not there', '  a: {cmd: touch a, wdir: gone, outs: [a]}', /^wdir not found: .*gone$/],
    ['a command that a signal ended', '  a: {cmd: kill -9 $$, outs: [a]}', /^ended by SIGKILL: kill/],
  ])('%s fails the stage', async (_, stages, says) => {
    const { run } = pipeline(stages, { 'params.yaml': 'p: 1\n' });
    expect((await run()).stages[0]).toMatchObject({ outcome: 'failed', fault: expect.stringMatching(says) });
  });

  test('the commands of a list run one after another until one fails, lines of a text as well, where the stage says', async () => {
    const { run, read, at } = pipeline(
      `
  list:
    cmd: [echo 1 > list, echo 2 >> list]
    wdir: sub
    outs: [list]
  text:
    cmd: |
      echo $DVC_STAGE > text
      echo $DVC_ROOT >> text
      false
      echo never >> text
    outs: [text]
`,
    );
    mkdirSync(at('sub'));
    const { failed } = await run();
    expect(read('sub/list')).toBe('1\n2\n');
    expect(failed).toEqual(['text']);
    expect(read('text')).toBe(`text\n${at('.')}\n`.replace('/.\n', '\n'));
  });

  test('outputs are removed before a run, persistent ones are not', async () => {
    const { run, read, write } = pipeline(
      `
  a:
    cmd: cat data >> new; cat data >> kept
    deps: [data]
    outs:
    - new
    - kept: {persist: true}
`,
      { data: '1\n' },
    );
    await run();
    write('data', '2\n');
    await run();
    expect({ new: read('new'), kept: read('kept') }).toEqual({ new: '2\n', kept: '1\n2\n' });
  });

  test('force, single item, downstream and dry', async () => {
    const { run, write, read } = pipeline(chain, chainFiles);
    expect((await run({ dry: true })).told).toEqual(['a: would run: never run', 'b: would run: never run', 'c: would run: never run']);
    await run();
    expect((await run({ targets: ['b'], force: true })).told).toEqual(['a: ran: forced', 'b: ran: forced']);
    expect((await run({ targets: ['b'], downstream: true })).told).toHaveLength(2);
    write('data', '2\n');
    const before = read('dvc.lock');
    expect((await run({ dry: true })).told).toEqual([
      'a: would run: dependency data changed',
      'b: may run: a before it would',
      'c: may run: b before it would',
    ]);
    expect(read('dvc.lock')).toBe(before);
    expect((await run({ targets: ['b'], singleItem: true })).told).toEqual(['b: up to date: up to date']);
  });

  test('independent stages run side by side', async () => {
    // Each waits for the other's first sign of life.
    const wait = (own: string, other: string) => `touch ${own}.begun; until test -e ${other}.begun; do sleep 0.01; done; touch ${own}`;
    const { run } = pipeline(`  a: {cmd: '${wait('a', 'b')}', outs: [a]}\n  b: {cmd: '${wait('b', 'a')}', outs: [b]}\n`);
    expect((await run({ jobs: 2 })).told).toEqual(['a: ran: never run', 'b: ran: never run']);
  });

  test('side by side, stages leave the dvc.lock that they leave in turn', async () => {
    const stages =
      '  slow: {cmd: until test -e fast; do sleep 0.01; done; touch slow, outs: [slow]}\n  fast: {cmd: touch fast, outs: [fast]}\n';
    const { run, read } = pipeline(stages);
    await run({ jobs: 2 });
    expect([...read('dvc.lock').matchAll(/^ {2}(\w+):$/gm)].map(([, name]) => name)).toEqual(['slow', 'fast']);
  });

  test('a dependency that changes while the stage runs is one for the next run', async () => {
    const { run, read } = pipeline('  a: {cmd: cat data > a; echo later > data, deps: [data], outs: [a]}\n', { data: 'first\n' });
    await run();
    expect((await run()).told).toEqual(['a: ran: dependency data changed']);
    expect(read('a')).toBe('later\n');
  });

  test('a frozen stage never runs, and gets its outputs back', async () => {
    const { run, write, at, read } = pipeline(chain, chainFiles);
    await run();
    write('dvc.yaml', `stages:\n${chain.replace('outs: [b]', 'outs: [b], frozen: true')}`);
    write('data', '2\n');
    expect((await run({ force: true })).told[1]).toBe('b: up to date: frozen, up to date');
    rmSync(at('b'));
    expect((await run()).told[1]).toBe('b: stored: output b is missing');
    expect(read('b')).toBe('1\nb\n');
  });

  test('what has nothing to compare runs every time', async () => {
    const { run, read } = pipeline('  a: {cmd: echo x >> log}\n  b: {cmd: touch b, outs: [b], always_changed: true}\n');
    await run();
    expect((await run()).told).toEqual(['a: ran: runs every time', 'b: ran: runs every time']);
    expect(read('log')).toBe('x\nx\n');
  });

  test('interrupted, it stops what runs, keeps what finished and goes on from there', async () => {
    const { run, at } = pipeline(
      `
  a: {cmd: cat data > a, deps: [data], outs: [a]}
  b: {cmd: 'test -e go || { echo sleeping; sleep 60; }; cat a > b', deps: [a], outs: [b]}
  c: {cmd: cat b > c, deps: [b], outs: [c]}
`,
      { data: 'x' },
    );
    const stop = new AbortController();
    const { told, isInterrupted } = await run({ signal: stop.signal, onEvent: (event) => void (event.kind === 'output' && stop.abort()) });
    expect({ told, isInterrupted }).toEqual({
      told: ['a: ran: never run', 'b: stopped: never run', 'c: not reached: needs b'],
      isInterrupted: true,
    });
    writeFileSync(at('go'), '');
    expect((await run()).told).toEqual(['a: up to date: up to date', 'b: ran: never run', 'c: ran: never run']);
  });

  test('what a killed run did to a persistent output is put aside, and the output is as it was', async () => {
    const { run, write, read, at } = pipeline(
      `
  a:
    cmd: cat data >> kept
    deps: [data]
    outs:
    - kept: {persist: true}
`,
      { data: '1\n' },
    );
    await run();
    const before = { md5: 'b026324c6904b2a9cb4b88d6d61c81d1', size: 2 };
    const claim = {
      pid: 2 ** 22 + 1,
      started: '',
      host: hostname(),
      since: '',
      underWay: [{ stage: 'a', groups: [], persisted: [{ place: at('kept'), before }] }],
    };
    writeFileSync(at('.dvc/tmp/clinfuse/runs/dead.json'), JSON.stringify(claim));
    write('kept', '1\nhalf');
    write('data', '2\n');
    const { told, notes } = await run();
    expect(notes[0]).toBe('repro: an earlier run was killed in a');
    expect(told).toEqual(['a: ran: dependency data changed']);
    expect(read('kept')).toBe('1\n2\n');
    expect(read('.dvc/tmp/clinfuse/cut-off/a/kept')).toBe('1\nhalf');
    expect(existsSync(at('.dvc/tmp/clinfuse/runs/dead.json'))).toBe(false);
  });

  test('a stage that was done when its run was killed is left as it is', async () => {
    const { run, read, at, write } = pipeline('  a: {cmd: cat data >> kept, deps: [data], outs: [kept: {persist: true}]}\n', {
      data: '1\n',
    });
    await run();
    const underWay = [{ stage: 'a', groups: [], persisted: [{ place: at('kept'), before: null }] }];
    write('.dvc/tmp/clinfuse/runs/dead.json', JSON.stringify({ pid: 2 ** 22 + 1, started: '', host: hostname(), since: '', underWay }));
    expect((await run()).told).toEqual(['a: up to date: up to date']);
    expect(read('kept')).toBe('1\n');
  });

  test('a stage cannot call repro in its own repository', async () => {
    const { run, folder } = pipeline(chain, chainFiles);
    await expect(run({ environment: { DVC_STAGE: 'a', DVC_ROOT: folder } })).rejects.toThrow(/called by a stage/);
  });

  test('data of dvc add is recorded anew when it changed, and comes out of the cache when it is gone', async () => {
    const { run, write, read, at } = pipeline(chain, {
      ...chainFiles,
      'data.dvc': 'outs:\n- md5: d00d0000000000000000000000000000\n  size: 1\n  hash: md5\n  path: data\n',
    });
    expect((await run()).notes).toEqual(['data: changed, recorded in data.dvc']);
    expect(read('data.dvc')).toBe('outs:\n- md5: b026324c6904b2a9cb4b88d6d61c81d1\n  size: 2\n  hash: md5\n  path: data\n');
    rmSync(at('data'));
    expect((await run()).notes).toEqual(['data: taken from the cache']);
    rmSync(at('data'));
    write('data.dvc', 'outs:\n- md5: d00d0000000000000000000000000000\n  size: 1\n  hash: md5\n  path: data\n');
    await expect(run()).rejects.toThrow(/data missing: data;/);
    write('data.dvc', 'deps:\n- path: x\nouts:\n- md5: d00d0000000000000000000000000000\n  path: data\n');
    await expect(run()).rejects.toThrow(/not supported: imports/);
  });
});

describe('status', () => {
  test('says what changed as DVC does, without running', async () => {
    const { run, write, folder, at } = pipeline(chain, chainFiles);
    await run();
    expect(statusJson(await status({ folder }))).toEqual({});
    write('params.yaml', 'p: 2\n');
    write('data', '3\n');
    rmSync(at('b'));
    expect(statusJson(await status({ folder }))).toEqual({
      a: [{ 'changed deps': { data: 'modified', 'params.yaml': { p: 'modified' } } }],
      b: [{ 'changed outs': { b: 'deleted' } }],
      c: [{ 'changed deps': { b: 'deleted' } }],
    });
    expect(statusJson(await status({ folder, targets: ['c'], singleItem: true }))).toEqual({ c: [{ 'changed deps': { b: 'deleted' } }] });
  });

  test('what never ran, and what always runs', async () => {
    const { folder } = pipeline(`${chain}  d: {cmd: echo}\n`, chainFiles);
    expect(statusJson(await status({ folder, targets: ['a', 'd'], singleItem: true }))).toEqual({
      a: [{ 'changed deps': { data: 'modified', 'params.yaml': 'new' } }, { 'changed outs': { a: 'deleted' } }],
      d: ['always changed'],
    });
  });
});
