// What more records cost: time of scoring per pair, memory of the whole process per record.

import { people } from '../people.ts';
import { atMost, type Row } from '../row.ts';
import { ourRun } from './engines.ts';
import { timeScoring } from './scoring.ts';

type Job = { readonly folder: string; readonly sizes: readonly number[]; readonly settings: string; readonly model: string };

/** `settings` are trained by the process itself, `model` is trained. */
export async function* growth({ folder, sizes, settings, model }: Job): AsyncGenerator<Row> {
  const steps: { count: number; nanoseconds: number; pairs: number; seconds: number; peakMb: number }[] = [];
  for (const count of sizes) {
    const records = await people({ count });
    const scoring = await timeScoring({ records, model, threads: 2, times: count > 1e6 ? 1 : 3 });
    const { seconds, peakMb } = ourRun({ records, model: settings, folder });
    steps.push({ count, nanoseconds: (scoring.seconds / scoring.pairs) * 1e9, pairs: scoring.pairs, seconds, peakMb });
  }
  const [first, last] = [steps[0]!, steps.at(-1)!];
  for (const { count, nanoseconds, pairs } of steps.slice(1)) {
    const what = `${count.toLocaleString('en-US')} records: scoring time per pair against ${first.count.toLocaleString('en-US')}`;
    const peer = `${nanoseconds.toFixed(0)} ns, ${pairs.toLocaleString('en-US')} pairs; ${first.nanoseconds.toFixed(0)} ns, ${first.pairs.toLocaleString('en-US')}`;
    yield atMost(what, nanoseconds / first.nanoseconds, 1.3, 'x', { peer });
  }
  const perRecord = steps.slice(1).map((step, i) => ((step.peakMb - steps[i]!.peakMb) * 1024 * 1024) / (step.count - steps[i]!.count));
  yield atMost('memory per further record, last step against first', perRecord.at(-1)! / perRecord[0]!, 1.3, 'x', {
    peer: steps.map(({ count, peakMb }) => `${count.toLocaleString('en-US')}: ${peakMb.toFixed(0)} MB`).join(', '),
  });
  yield atMost(`${last.count.toLocaleString('en-US')} records, peak memory`, last.peakMb, 6144, 'MB', {
    peer: `${last.seconds.toFixed(1)} s`,
  });
}
