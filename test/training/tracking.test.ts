import { appendFileSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { eventLine, fromStart, readEvents } from '../../src/training/run-events.ts';
import { openRunLog, type RunLogOptions } from '../../src/training/run-log.ts';
import { curvesOf, lossCurveOf, readRun } from '../../src/training/tracking.ts';

let home: string;
let folder: string;
let now = 0;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'clinfuse-tracking-'));
  folder = join(home, 'log');
  now = 0;
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const metric = (step: number, value: number, key = 'loss') => ({ step, key, value, time: 1000 * step });
const open = (options: Partial<RunLogOptions> = {}) =>
  openRunLog(folder, { name: 'first', experiment: 'tests', clock: () => ++now, id: 'a'.repeat(32), ...options });
const text = () => readFileSync(join(folder, 'events.jsonl'), 'utf8');
const losses = () => readRun(folder).metrics.map(({ value }) => value);

describe('the log of a run', () => {
  test('holds settings, tags, figures in order, files with their hashes, and how it ended', async () => {
    writeFileSync(join(home, 'loss.svg'), '<svg/>');
    const log = open();
    await log.params({ learningRate: '0.0002' });
    await log.tags({ model: 'small' });
    await log.metrics([metric(1, 2.5), metric(1, 0.001, 'learning_rate')]);
    await log.metrics([metric(2, 2.25)]);
    await log.artifact(join(home, 'loss.svg'));
    await log.finish('finished', { steps: 2 });
    expect(text().split('\n')).toEqual([
      `{"kind":"created","time":1,"id":"${'a'.repeat(32)}","name":"first","experiment":"tests"}`,
      '{"kind":"params","time":2,"values":{"learningRate":"0.0002"}}',
      '{"kind":"tags","time":3,"values":{"model":"small"}}',
      '{"kind":"metrics","time":1000,"step":1,"values":{"loss":2.5,"learning_rate":0.001}}',
      '{"kind":"metrics","time":2000,"step":2,"values":{"loss":2.25}}',
      '{"kind":"artifact","time":4,"path":"loss.svg","size":6,"sha256":"d4dc56669143034f31aa309635d4113d9ad76a02b1739da22c965ed2049be9e6"}',
      '{"kind":"ended","time":5,"status":"finished","summary":{"steps":2}}',
      '',
    ]);
    expect(readRun(folder)).toMatchObject({ status: 'finished', name: 'first', params: { learningRate: '0.0002' }, events: 7 });
  });

  test('keeps figures that are not finite', async () => {
    const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1 / 3];
    await open().metrics(values.map((value, step) => metric(step, value)));
    expect(losses()).toEqual(values);
  });

  test('goes on from a step: what came after it does not count, and a half-written line is cut off', async () => {
    const log = open();
    await log.metrics([1, 2, 3].map((step) => metric(step, step)));
    await log.finish('killed', {});
    appendFileSync(join(folder, 'events.jsonl'), '{"kind":"metr');
    expect(losses()).toEqual([1, 2, 3]);
    const again = open({ resume: true, id: 'b'.repeat(32) });
    await again.rewind(2);
    await again.metrics([metric(3, 30)]);
    expect(losses()).toEqual([1, 2, 30]);
    expect(readRun(folder)).toMatchObject({ id: 'a'.repeat(32), status: 'unfinished' });
    await again.rewind(-1);
    expect(losses()).toEqual([]);
  });

  test('time between an end and a resumption is no work', async () => {
    now = 100;
    await open().finish('killed', {});
    now = 9000;
    await open({ resume: true }).finish('finished', {});
    expect(readRun(folder)).toMatchObject({ created: 101, last: 9002, durationMs: 2 });
  });

  test('another run in its folder steps aside', async () => {
    await open().metrics([metric(1, 1)]);
    await open({ id: 'c'.repeat(32) }).metrics([metric(1, 2)]);
    expect(readdirSync(home).sort()).toEqual(['log', 'log-aaaaaaaa']);
    expect(losses()).toEqual([2]);
  });

  test('files outlive what they were made from: a folder is kept file by file, and what replaces it changes nothing', async () => {
    const adapter = join(home, 'adapter.txt');
    writeFileSync(adapter, 'one');
    await open().artifact(adapter);
    writeFileSync(`${adapter}.new`, 'two!');
    renameSync(`${adapter}.new`, adapter);
    expect(readFileSync(join(folder, 'artifacts', 'adapter.txt'), 'utf8')).toBe('one');
    await open({ resume: true }).artifact(adapter);
    expect(readFileSync(join(folder, 'artifacts', 'adapter.txt'), 'utf8')).toBe('two!');
    expect(readRun(folder).artifacts).toMatchObject([{ path: 'adapter.txt', size: 4 }]);
  });

  test('is read on from a place, whole lines only', () => {
    open();
    const { end } = readEvents(folder, fromStart);
    const line = eventLine({ kind: 'metrics', time: 5, step: 1, values: { loss: Number.NaN } });
    appendFileSync(join(folder, 'events.jsonl'), `${line}${line.slice(0, 20)}`);
    const next = readEvents(folder, end);
    expect(next.events).toEqual([{ kind: 'metrics', time: 5, step: 1, values: { loss: Number.NaN } }]);
    expect(next.end.lines).toBe(2);
    expect(readEvents(folder, next.end).events).toEqual([]);
  });

  test.each([
    { name: 'no log', text: undefined, says: /^tracking: no events\.jsonl: .*; name the folder of a run$/ },
    { name: 'a line that is none', text: '{"kind":"resumed","time":1}\n{"step":"two"}\n', says: /not an event: .*, line 2;/ },
    { name: 'no run at its start', text: '{"kind":"resumed","time":1}\n', says: /not the log of a run/ },
    {
      name: 'a file that leads out',
      text: '{"kind":"artifact","time":1,"path":"../../key","size":1,"sha256":""}\n',
      says: /not an event: .*, line 1;/,
    },
  ])('$name is named', ({ text: content, says }) => {
    rmSync(folder, { recursive: true, force: true });
    if (content !== undefined) {
      open();
      writeFileSync(join(folder, 'events.jsonl'), content);
    }
    expect(() => readRun(folder)).toThrow(says);
  });

  test('gives curves by key, in the order of steps', () => {
    const curves = curvesOf([metric(2, 20), metric(1, 10), metric(2, 21), metric(1, 5, 'eval_loss')]);
    expect([...curves]).toEqual([
      [
        'loss',
        [
          { step: 1, value: 10 },
          { step: 2, value: 21 },
        ],
      ],
      ['eval_loss', [{ step: 1, value: 5 }]],
    ]);
  });

  test('gives the curve of the run: steps, evaluations of the loss, ends of epochs', () => {
    const figures = (step: number, values: Record<string, number>) =>
      Object.entries(values).map(([key, value]) => ({ step, key, value, time: 0 }));
    const curve = lossCurveOf([
      ...figures(1, { loss: 3, learning_rate: 0.1, epoch: 0.5 }),
      ...figures(2, { loss: 2, learning_rate: 0.05, epoch: 1, eval_loss: 2.5, eval_f1: 0.5 }),
      ...figures(3, { eval_loss: Number.NaN }),
    ]);
    expect(curve).toEqual({
      steps: [
        { step: 1, loss: 3, learningRate: 0.1 },
        { step: 2, loss: 2, learningRate: 0.05 },
      ],
      evaluations: [{ step: 2, loss: 2.5 }],
      epochEnds: [2],
    });
  });
});
