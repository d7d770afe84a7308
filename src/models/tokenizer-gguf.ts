// The tokenizer inside a GGUF file, said again as a tokenizer.json.
//
// `tokenizer.ggml.model` "gpt2" is byte-level BPE: tokens and merges are there, the word pattern is a name (`tokenizer.ggml.pre`).
// "llama" is SentencePiece: tokens with scores and no merges. SentencePiece joins, again and again, the neighbours whose union has the
// best score; the same as merges in order of their union's score, so the merges are every way to cut a token into two tokens, best
// score first. Cost: one lookup per letter of the vocabulary.
//
// Worked case: tokens a b c ab(-1) abc(-2): merges "a b", then "ab c"; "bc" is no token, so "a bc" is none.

import { UserError } from '../base/errors.ts';
import { makeTokenizer, type Tokenizer, type TokenizerSettings } from './tokenizer.ts';
import { type AddedToken, gpt2Words, split, type TokenizerJson } from './tokenizer-json.ts';

/** Word patterns by llama.cpp's names; each the pre-tokenizer of the tokenizer.json it was named after. */
const llama3Words =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const wordPatterns: Readonly<Record<string, readonly string[]>> = {
  'gpt-2': [gpt2Words],
  smollm: ['\\p{N}', gpt2Words],
  'llama-bpe': [llama3Words],
  llama3: [llama3Words],
  'llama-v3': [llama3Words],
};

/** GGUF's kinds of token; all but the normal ones are matched in the text before any merge. */
const kinds = { normal: 1, unknown: 2, control: 3, userDefined: 4 };

/**
 * The tokenizer of a GGUF file's metadata (`tokenizer.ggml.*`, `tokenizer.chat_template`).
 *
 * @throws UserError `tokenizer.missing`, `tokenizer.unsupported` (model or word pattern, named)
 */
export function tokenizerFromGguf(metadata: Metadata): Tokenizer {
  const { json, settings } = described(metadata);
  return makeTokenizer(json, settings);
}

/**
 * The files of a Hugging Face folder that stand for a GGUF file's tokenizer, by name: what transformers loads beside exported weights.
 *
 * @throws UserError as `tokenizerFromGguf`
 */
export function tokenizerFiles(metadata: Metadata): Readonly<Record<string, string>> {
  const { json, settings } = described(metadata);
  const { bos, eos, pad, chatTemplate } = settings;
  const config = {
    ...(bos === undefined ? {} : { bos_token: bos }),
    clean_up_tokenization_spaces: false,
    ...(eos === undefined ? {} : { eos_token: eos }),
    ...(pad === undefined ? {} : { pad_token: pad }),
    tokenizer_class: 'PreTrainedTokenizerFast',
  };
  return {
    'tokenizer.json': JSON.stringify({ version: '1.0', truncation: null, padding: null, ...json }),
    'tokenizer_config.json': `${JSON.stringify(config, null, 2)}\n`,
    ...(chatTemplate === undefined ? {} : { 'chat_template.jinja': chatTemplate }),
  };
}

type Metadata = Readonly<Record<string, unknown>>;

function described(metadata: Metadata): { readonly json: TokenizerJson; readonly settings: TokenizerSettings } {
  const get = <T>(key: string) => metadata[`tokenizer.ggml.${key}`] as T | undefined;
  const raw = get<readonly string[]>('tokens');
  const model = get<string>('model');
  if (raw === undefined || model === undefined) {
    throw new UserError(
      'tokenizer.missing',
      'tokenizer: the GGUF file holds none (tokenizer.ggml.tokens); convert the model again with its tokenizer',
    );
  }
  if (model !== 'gpt2' && model !== 'llama') {
    throw new UserError('tokenizer.unsupported', `tokenizer: kind not supported: ${model}; supported in GGUF: gpt2, llama`);
  }
  const pre = get<string>('pre') ?? 'gpt-2';
  const types = get<readonly number[]>('token_type') ?? [];
  // Runs of spaces, which converters write as spaces or as ▁: one form.
  const tokens = raw.map((token, id) => (types[id] === kinds.userDefined && /^[ ▁]+$/.test(token) ? '▁'.repeat(token.length) : token));
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const added: AddedToken[] = tokens.flatMap((content, id) => {
    const special = types[id] === kinds.control || types[id] === kinds.unknown;
    const found = { id, content, special, single_word: false, lstrip: false, rstrip: false, normalized: false };
    return special || types[id] === kinds.userDefined ? [found] : [];
  });
  const shape =
    model === 'gpt2'
      ? byteLevel({ vocab, merges: get<readonly string[]>('merges') ?? [], pre })
      : sentencePiece({
          tokens,
          vocab,
          types,
          scores: get<readonly number[]>('scores') ?? [],
          addsSpace: get<boolean>('add_space_prefix') ?? true,
        });
  const isLlama3 = wordPatterns[pre]?.[0] === llama3Words;
  const name = (key: string) => tokens[get<number>(`${key}_token_id`) ?? -1];
  const endId = get<number>('eot_token_id');
  const token = (key: string) => ({ id: get<number>(`${key}_token_id`) ?? -1, name: name(key) });
  const before = (get<boolean>('add_bos_token') ?? (model === 'llama' || isLlama3)) ? [token('bos')] : [];
  const after = get<boolean>('add_eos_token') ? [token('eos')] : [];
  return {
    json: { added_tokens: added, post_processor: between(before, after), ...shape },
    settings: {
      bos: name('bos'),
      eos: name('eos'),
      pad: name('padding'),
      endIds: endId === undefined ? [] : [endId],
      chatTemplate: metadata['tokenizer.chat_template'] as string | undefined,
    },
  };
}

type Named = { readonly id: number; readonly name: string | undefined };

/** The post-processor that puts tokens before and after a text. */
function between(before: readonly Named[], after: readonly Named[]) {
  const used = [...before, ...after].filter(({ name }) => name !== undefined);
  if (used.length === 0) return null;
  const items = (tokens: readonly Named[]) =>
    tokens.flatMap(({ name }) => (name === undefined ? [] : [{ SpecialToken: { id: name, type_id: 0 } }]));
  const one = (id: string) => [...items(before), { Sequence: { id, type_id: 0 } }, ...items(after)];
  const special_tokens = Object.fromEntries(used.map(({ id, name }) => [name, { id: name, ids: [id], tokens: [name] }]));
  return { type: 'TemplateProcessing', single: one('A'), pair: [...one('A'), ...one('B')], special_tokens };
}

const byteLetters = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
/** What tokenizer.json says of every BPE. */
const bpe = { type: 'BPE', dropout: null, continuing_subword_prefix: null, end_of_word_suffix: null };

function byteLevel({ vocab, merges, pre }: { readonly vocab: object; readonly merges: readonly string[]; readonly pre: string }) {
  const patterns = wordPatterns[pre];
  if (patterns === undefined) {
    const known = Object.keys(wordPatterns).join(', ');
    throw new UserError('tokenizer.unsupported', `tokenizer: word pattern not supported: ${pre}; supported in GGUF: ${known}`);
  }
  return {
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [...patterns.map(split), { ...byteLetters, use_regex: false }],
    },
    decoder: { ...byteLetters, use_regex: true },
    // Llama 3 was trained with words that are tokens taken whole, though merges would not reach some of them.
    model: { ...bpe, unk_token: null, fuse_unk: false, byte_fallback: false, ignore_merges: patterns[0] === llama3Words, vocab, merges },
  };
}

type Pieces = {
  readonly tokens: readonly string[];
  readonly vocab: Readonly<Record<string, number>>;
  readonly types: readonly number[];
  readonly scores: readonly number[];
  readonly addsSpace: boolean;
};

function sentencePiece({ tokens, vocab, types, scores, addsSpace }: Pieces) {
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
  const unknown = tokens[types.indexOf(kinds.unknown)] ?? null;
  return {
    normalizer: addsSpace ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, replace] } : replace,
    pre_tokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(addsSpace ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      ...bpe,
      unk_token: unknown,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab,
      merges: mergesByScore({ tokens, types, scores }),
    },
  };
}

/** All cuts of all pieces, in the order in which transformers ranks them: score, then the longer left part. */
function mergesByScore({ tokens, types, scores }: Pick<Pieces, 'tokens' | 'types' | 'scores'>): [string, string][] {
  // A user-defined run of spaces comes before all else, whatever score the file gives it.
  const isSpaceRun = (id: number) => types[id] === kinds.userDefined && tokens[id]!.startsWith('▁');
  const isPiece = (id: number) => (types[id] ?? kinds.normal) === kinds.normal || isSpaceRun(id);
  const pieces = new Set(tokens.filter((_, id) => isPiece(id)));
  const cuts: { readonly left: string; readonly right: string; readonly score: number }[] = [];
  tokens.forEach((token, id) => {
    if (!isPiece(id)) return;
    const score = isSpaceRun(id) ? 0 : (scores[id] ?? 0);
    // A cut through a surrogate pair gives halves that are no tokens.
    for (let at = 1; at < token.length; at++) {
      const left = token.slice(0, at);
      if (!pieces.has(left)) continue;
      const right = token.slice(at);
      if (pieces.has(right)) cuts.push({ left, right, score });
    }
  });
  const letters = (text: string) => (/[\ud800-\udbff]/.test(text) ? Array.from(text).length : text.length);
  return cuts
    .sort((a, b) => b.score - a.score || letters(b.left) - letters(a.left) || letters(b.right) - letters(a.right))
    .map(({ left, right }) => [left, right]);
}
