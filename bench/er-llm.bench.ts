// npm run bench -- er-llm: a real language model as classifier of pairs (SmolLM2-135M, which bench/peers/setup.sh fetches). The fine-tune takes
// an hour or more on two cores; it is kept in the cache folder and goes on where it was cut short. --quick leaves it and all that needs it out: what remains
// are the configurations written for other engines.

import { cascade } from './er-llm/cascade.ts';
import { testQuestions } from './er-llm/data.ts';
import { engines } from './er-llm/engines.ts';
import { champion, fineTune } from './er-llm/fine-tune.ts';
import { throughput } from './er-llm/throughput.ts';
import { smollm2 } from './llm/model.ts';
import type { Row } from './row.ts';

export async function* bench({ quick }: { readonly quick: boolean }): AsyncGenerator<Row> {
  yield* engines();
  if (quick) return;
  const model = smollm2();
  if (!model) {
    yield { figure: 'a real classifier of pairs', value: 0, unit: 'rows', peer: 'no model: bench/peers/setup.sh', ok: true };
    return;
  }
  yield* fineTune(model);
  yield* throughput(champion.model, await testQuestions(1000));
  yield* cascade(champion.model);
}
