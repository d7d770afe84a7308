// One worker thread of the kernel: for each job it is given, takes tasks until none is left and sends back what it found. In between it does chores.

import { parentPort } from 'node:worker_threads';

import { type ChoreList, doChore, takeChore } from './chores.ts';
import { startJob } from './score.ts';
import type { Answer, Question } from './workers.ts';

const send = (answer: Answer, moved: readonly ArrayBuffer[] = []) => parentPort!.postMessage(answer, moved);

parentPort!.on('message', (question: Question) => {
  if ('chores' in question) {
    doNext(question, 0);
    return;
  }
  const { data, source, job } = question;
  const running = startJob(data, source, job);
  while (running.step());
  const found = running.result();
  const { left, right, weight, rule, patterns, counts, shiftedPattern, shift, levels } = found;
  const arrays = [left, right, weight, rule, patterns, counts, shiftedPattern, shift, ...levels];
  send(
    { found },
    arrays.map(({ buffer }) => buffer as ArrayBuffer),
  );
});

/** One chore a turn, so that a job that comes in between is heard. */
function doNext(list: ChoreList, place: number): void {
  if (place === list.chores.length) return;
  const mine = takeChore(list, place, 1);
  send({ chore: list.first + place, ...(mine ? { made: doChore(list.chores[place]!) } : {}) });
  setImmediate(doNext, list, place + 1);
}
