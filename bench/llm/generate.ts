// Text generation beside transformers: the same greedy text in f32 from the same file, and tokens a second in alternating runs, the best
// of each; also with the file's four-bit blocks kept. Also by itself: node bench/llm/generate.ts [--quick]

import { join } from 'node:path';

import { temporaryFolder } from '../../src/base/files.ts';
import { type Decoder, openDecoder } from '../../src/models/decoder.ts';
import { openModel } from '../../src/models/folder.ts';
import { generateAll } from '../../src/models/generate.ts';
import { languageModel } from '../../src/models/language-model.ts';
import { openTokenizer } from '../../src/models/open-tokenizer.ts';
import { loadResident } from '../../src/models/resident.ts';
import { type StoragePolicy, storageOf } from '../../src/models/storage.ts';
import { atLeast, type Row } from '../row.ts';
import { pythonOf } from '../splink.ts';
import { smollm2 } from './model.ts';
import { type Peer, startPeer } from './peer.ts';

const threads = 2;
const tokens = 64;
const prompts = [
  'The capital of France is',
  'High blood pressure is dangerous because',
  'Write a short poem about the sea.',
  'def fibonacci(n):',
  'The patient was admitted with chest pain and',
  'In 1969, the first human',
  'Water boils at',
  '<|im_start|>user\nWhat is diabetes?<|im_end|>\n<|im_start|>assistant\n',
  'Once upon a time, in a small village, there lived',
  'Symptoms of pneumonia include',
];

/** Rows of the comparison; one that says so where the peer (bench/peers/setup.sh) or the model is not at hand. */
export async function* generation({ quick }: { readonly quick: boolean }): AsyncIterable<Row> {
  const python = pythonOf('llm');
  const file = smollm2();
  if (!python || !file) {
    yield { figure: 'generation beside transformers', value: 0, unit: 'texts', peer: python ? 'no model' : 'not installed', ok: true };
    return;
  }
  const peer = startPeer(python, 'llm-generate.py', [file, String(threads)]);
  const scratch = temporaryFolder();
  try {
    await peer.ready;
    yield* compareTexts(file, { peer, name: 'Q4_1', policy: 'f32' });
    yield* compareTexts(file, { peer, name: 'Q4_1, blocks kept', policy: 'stored' });
    yield* compareSpeed(file, { peer, rounds: quick ? 2 : 5 });
    const q8 = join(scratch.path, 'model.Q8_0.gguf');
    await peer.ask({ do: 'q8', out: q8 });
    await peer.ask({ do: 'load', file: q8 });
    yield* compareTexts(q8, { peer, name: 'Q8_0', policy: 'f32' });
  } finally {
    peer.stop();
    scratch.remove();
  }
}

async function* compareTexts(
  file: string,
  { peer, name, policy }: { readonly peer: Peer; readonly name: string; readonly policy: StoragePolicy },
): AsyncIterable<Row> {
  const tokenizer = openTokenizer(file);
  const ids = prompts.map((prompt) => tokenizer.encode(prompt));
  const theirs = ((await peer.ask({ do: 'texts', prompts: ids, tokens })) as { readonly ids: number[][] }).ids;
  const ours = await using({ file, policy }, (decoder) => generateAll(decoder, ids, { maxNewTokens: tokens, stopTokens: [], rows: 4 }));
  const equal = ours.filter((text, i) => tokenizer.decode(text.ids) === tokenizer.decode(theirs[i]!)).length;
  yield atLeast(`greedy texts of ${tokens} tokens equal to transformers', SmolLM2-135M ${name}`, equal, prompts.length, 'texts');
}

async function* compareSpeed(file: string, { peer, rounds }: { readonly peer: Peer; readonly rounds: number }): AsyncIterable<Row> {
  const ids = openTokenizer(file).encode(prompts[8]!);
  for (const rows of [1, 8]) {
    const batch = Array.from({ length: rows }, () => ids);
    const seconds = { f32: Number.POSITIVE_INFINITY, stored: Number.POSITIVE_INFINITY, theirs: Number.POSITIVE_INFINITY };
    await using({ file, policy: 'f32' }, (f32) =>
      using({ file, policy: 'stored' }, async (stored) => {
        const measure = async (decoder: Decoder) => {
          const start = performance.now();
          await generateAll(decoder, batch, { maxNewTokens: tokens, stopTokens: [] });
          return (performance.now() - start) / 1000;
        };
        for (let round = 0; round < rounds; round++) {
          seconds.f32 = Math.min(seconds.f32, await measure(f32));
          const { seconds: theirs } = (await peer.ask({ do: 'speed', prompts: batch, tokens })) as { readonly seconds: number };
          seconds.theirs = Math.min(seconds.theirs, theirs);
          seconds.stored = Math.min(seconds.stored, await measure(stored));
        }
      }),
    );
    const rate = (of: number) => (rows * tokens) / of;
    const row = (name: string, ours: number): Row => ({
      figure: `generation, SmolLM2-135M ${name}, batch ${rows}, ${threads} threads`,
      value: rate(ours),
      unit: 'tokens/s',
      peer: `transformers f32 ${rate(seconds.theirs).toFixed(1)}`,
      ratio: seconds.theirs / ours,
      must: 'ratio >= 1',
      ok: seconds.theirs >= ours,
    });
    yield row('f32', seconds.f32);
    yield row('Q4_1 blocks kept', seconds.stored);
  }
}

type Opened = { readonly file: string; readonly policy: StoragePolicy };

async function using<T>({ file, policy }: Opened, work: (decoder: Decoder) => Promise<T>): Promise<T> {
  const folder = await openModel(file);
  const model = languageModel(await loadResident(folder, { storage: storageOf(policy) }), { session: { threads } });
  await folder.close();
  const decoder = openDecoder(model);
  try {
    return await work(decoder);
  } finally {
    await decoder.close();
    await model.close();
  }
}

if (import.meta.main) {
  for await (const row of generation({ quick: process.argv.includes('--quick') })) console.log(row);
}
