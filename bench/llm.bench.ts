// npm run bench -- llm: the LLM engine beside PyTorch, PEFT, transformers and bitsandbytes, on SmolLM2-135M (bench/peers/setup.sh fetches
// it) and on shapes of larger models with random weights. What needs no peer at all, logits and loss curves of tiny models among it, is
// checked by npm test. --quick leaves out the whole 4B model, the 200 steps and the fine-tuning run.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { fineTuning, trainingTexts } from './llm/fine-tuning.ts';
import { generation } from './llm/generate.ts';
import { fastCurve, gradients } from './llm/gradients.ts';
import { roundTrip } from './llm/round-trip.ts';
import { steps, wholeModel } from './llm/steps.ts';
import { cache } from './populations.ts';
import type { Row } from './row.ts';

export async function* bench({ quick }: { readonly quick: boolean }): AsyncGenerator<Row> {
  yield* steps({ quick });
  yield* generation({ quick });
  yield* gradients();
  yield* roundTrip();
  if (quick) return;
  yield* wholeModel();
  const questions = join(cache, 'bench', 'medquad');
  if (!existsSync(join(questions, 'train.jsonl'))) {
    yield { figure: 'fine-tuning on MedQuAD', value: 0, unit: 'rows', peer: 'no data: node bench/llm/medquad.ts SOURCE OUT', ok: true };
    return;
  }
  yield* fastCurve(trainingTexts(questions), 200);
  yield* fineTuning(questions);
}
