import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { lossCurveOf, openRunLog, readMetrics } from '../../src/training/tracking.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'clinfuse-tracking-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const metric = (step: number, value: number) => ({ step, key: 'loss', value, time: 1000 * step });
const read = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8'));

describe('the log of a run', () => {
  test('holds settings, figures in order and how it ended', async () => {
    const log = openRunLog(folder);
    await log.params({ learningRate: '0.0002' });
    await log.metrics([metric(1, 2.5), { ...metric(1, 0.001), key: 'learning_rate' }]);
    await log.metrics([metric(2, 2.25)]);
    await log.artifact('loss.svg');
    await log.finish('finished', { steps: 2 });
    expect(read('params.json')).toEqual({ learningRate: '0.0002' });
    expect(readMetrics(folder).map(({ key, value }) => [key, value])).toEqual([
      ['loss', 2.5],
      ['learning_rate', 0.001],
      ['loss', 2.25],
    ]);
    expect(readFileSync(join(folder, 'metrics.jsonl'), 'utf8').split('\n')[0]).toBe('{"step":1,"key":"loss","value":2.5,"time":1000}');
    expect(read('summary.json')).toEqual({ status: 'finished', steps: 2, artifacts: ['loss.svg'] });
  });

  test('keeps figures that are not finite', async () => {
    const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1 / 3];
    await openRunLog(folder).metrics(values.map((value, step) => metric(step, value)));
    expect(readMetrics(folder).map(({ value }) => value)).toEqual(values);
  });

  test('goes on from a step: what came after it and a half-written line are gone', async () => {
    const log = openRunLog(folder);
    await log.rewind(0);
    expect(readMetrics(folder)).toEqual([]);
    await log.metrics([1, 2, 3].map((step) => metric(step, step)));
    appendFileSync(join(folder, 'metrics.jsonl'), '{"step":4,"ke');
    expect(readMetrics(folder)).toHaveLength(3);
    await log.rewind(2);
    await log.metrics([metric(3, 30)]);
    expect(readMetrics(folder).map(({ value }) => value)).toEqual([1, 2, 30]);
  });

  test('a folder without one, and a line that is none, are named', () => {
    expect(() => readMetrics(folder)).toThrow(`tracking: no metrics.jsonl: ${folder}; name the folder of a run`);
    writeFileSync(join(folder, 'metrics.jsonl'), '{"step":1,"key":"loss","value":1,"time":0}\n{"step":"two"}\n');
    expect(() => readMetrics(folder)).toThrow(/^tracking: not a metric: .*metrics\.jsonl, line 2;/);
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
