// Trains the small model in a process of its own, to be killed: node run-small.ts FOLDER VOCABULARY. Says each step's number.

import { join } from 'node:path';

import { evaluateLoss } from '../../src/training/evaluate-loss.ts';
import { openRunLog } from '../../src/training/run-log.ts';
import { train } from '../../src/training/trainer.ts';
import { trainingSettings } from '../../src/training/training-settings.ts';
import { smallBatch, smallModel } from './small-model.ts';

const [folder, words] = process.argv.slice(2);
const vocabulary = Number(words);
const trainable = smallModel({ vocabulary, size: 16, dropout: 0.2 });
const batches = (epoch: number) => Array.from({ length: 7 }, (_, i) => smallBatch(epoch * 7 + i, { vocabulary }));
const saying = {
  metrics: async ([first]: readonly { step: number }[]) => void process.stdout.write(`${first!.step}\n`),
  rewind: async () => {},
};

try {
  await train({
    trainable,
    batches,
    evaluate: () => evaluateLoss(trainable, batches(99)),
    settings: trainingSettings({ epochs: 6, accumulation: 2, learningRate: 0.02, evaluationEvery: 5, checkpointEvery: 3, keep: 2 }),
    checkpoints: { folder: folder!, identity: { model: 'small', data: 'numbers' }, resume: true },
    sinks: [openRunLog(join(folder!, 'log'), { name: 'small', experiment: 'tests', clock: () => 0, resume: true }), saying],
    clock: () => 0,
  });
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 2;
}
