// npm run base: makes examples/gray-zone/base anew, the model that the gray-zone pipeline is tried out with: a Llama of two layers with
// random weights, small enough to be trained in a minute on two cores, and byte-level tokens learned from the questions of the sample.
//
// Tokens are learned by byte-pair encoding (Sennrich et al. 2016): texts are cut into words, words into bytes, and the pair of tokens that is
// most frequent becomes a token of its own, again and again. Digits stay by themselves, as in SmolLM2 and Llama 2. For the words
// hug, pug, hugs the first new token is `ug` (three times), the next `hug` (twice).

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { writePairDataset } from '../src/apps/entity-resolution/llm/pair-dataset.ts';
import { readPairRows } from '../src/apps/entity-resolution/llm/pair-rows.ts';
import { openSession } from '../src/apps/entity-resolution/session.ts';
import { random } from '../src/base/random.ts';
import { readConfig } from '../src/models/read-config.ts';
import { tensorShapes } from '../src/models/tensor-shapes.ts';
import { writeModelFolder } from '../src/models/write-folder.ts';

const examples = join(import.meta.dirname, '..', 'examples');
const size = {
  vocab_size: 768,
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
};
const specials = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];

const work = mkdtempSync(join(tmpdir(), 'clinfuse-base-'));
process.once('exit', () => rmSync(work, { recursive: true, force: true }));
await using session = await openSession(join(examples, 'data'));
const made = { source: 'examples/data', out: join(work, 'dataset'), hardShare: 0.5, seed: 42, timestamp: '2026-01-01T00:00:00' };
await writePairDataset(session, made);
const texts = (await readPairRows(made.out, 'train')).map(({ input }) => input);

const { vocab, merges } = learnTokens(texts);
const tokenizer = {
  ...{ version: '1.0', truncation: null, padding: null, normalizer: null, post_processor: null },
  added_tokens: specials.map((content, id) => ({
    ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  })),
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Digits', individual_digits: true },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    ],
  },
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    ...{ type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null },
    ...{ fuse_unk: false, byte_fallback: false, ignore_merges: false, vocab, merges },
  },
};
const tokenizerConfig = {
  tokenizer_class: 'PreTrainedTokenizerFast',
  clean_up_tokenization_spaces: false,
  ...{ bos_token: specials[1], eos_token: specials[2], pad_token: specials[2], unk_token: specials[0] },
};
const config = readConfig({
  ...{ architectures: ['LlamaForCausalLM'], model_type: 'llama', ...size, max_position_embeddings: 2048, tie_word_embeddings: true },
  ...{ rope_theta: 10_000, rms_norm_eps: 1e-5, hidden_act: 'silu', bos_token_id: 1, eos_token_id: 2, pad_token_id: 2 },
});
const weights = [...tensorShapes(config)].map(([name, shape]) => ({
  name,
  shape,
  format: 'bf16' as const,
  read: () => drawn(name, shape),
}));
await writeModelFolder(join(examples, 'gray-zone', 'base'), {
  config,
  weights,
  files: { 'tokenizer.json': JSON.stringify(tokenizer), 'tokenizer_config.json': `${JSON.stringify(tokenizerConfig, null, 2)}\n` },
});
console.log(`${Object.keys(vocab).length} tokens from ${texts.length} questions; examples/gray-zone/base`);

/** Norms of one, and projections that keep the spread of what they are given: uniform, with a variance of one over the inputs. */
function drawn(name: string, shape: readonly number[]) {
  const draw = random(1, name);
  const spread = Math.sqrt(12 / shape.at(-1)!);
  const count = shape.reduce((product, side) => product * side, 1);
  const data = Float32Array.from({ length: count }, () => (name.includes('norm') ? 1 : (draw.float() - 0.5) * spread));
  return { format: 'f32' as const, shape, data };
}

/** The special tokens, the 256 bytes, then pairs by how often they occur; of equals the one that comes first in code order. */
function learnTokens(texts: readonly string[]): { readonly vocab: Record<string, number>; readonly merges: readonly string[] } {
  const names = byteNames();
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [word] of text.matchAll(/\d| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?=\S)|\s+/gu)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const words = [...counts].map(([word, count]) => ({ count, tokens: [...Buffer.from(word)].map((byte) => names[byte]!) }));
  const tokens = [...specials, ...[...names].sort()];
  const merges: string[] = [];
  while (tokens.length < size.vocab_size) {
    const pairs = new Map<string, number>();
    for (const { count, tokens } of words) {
      for (let i = 1; i < tokens.length; i++) {
        const pair = `${tokens[i - 1]} ${tokens[i]}`;
        pairs.set(pair, (pairs.get(pair) ?? 0) + count);
      }
    }
    const [best] = [...pairs].reduce((a, b) => (b[1] > a[1] || (b[1] === a[1] && b[0] < a[0]) ? b : a));
    const [left, right] = best.split(' ') as [string, string];
    merges.push(best);
    tokens.push(left + right);
    for (const word of words) word.tokens = merged(word.tokens, left, right);
  }
  return { vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges };
}

function merged(tokens: readonly string[], left: string, right: string): string[] {
  const out: string[] = [];
  for (const token of tokens) {
    if (token === right && out.at(-1) === left) out[out.length - 1] = left + right;
    else out.push(token);
  }
  return out;
}

/** How byte-level tokenizers write bytes: printable Latin-1 as it is, the others from U+0100 on (Radford et al. 2019). */
function byteNames(): readonly string[] {
  const isPlain = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPlain(byte) ? byte : next++));
}
