import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { Tokenizer as Encoder } from '@huggingface/tokenizers';

import { UserError } from '../base/errors.ts';
import { type DecodeStream, decodeStream, type TokenBytes, tokenBytes, tokenOffsets } from './token-bytes.ts';
import { type AddedToken, parts, portable, type TokenizerJson } from './tokenizer-json.ts';

/** Text to token ids and back, as the model was trained on. */
export type Tokenizer = {
  /** Token ids of a text. Names of special tokens in the text become those tokens. `special` (default true): with bos and eos as the model wants them around a plain text; a rendered chat has its own. */
  readonly encode: (text: string, options?: { readonly special?: boolean }) => number[];
  /** As `encode` without bos and eos, and where each token lies in the text, [start, end) in UTF-16 units. */
  readonly encodeWithOffsets: (text: string) => { readonly ids: number[]; readonly starts: Int32Array; readonly ends: Int32Array };
  /** `skipSpecial`, default false: leave special tokens out. Spaces stay as they are: none are cleaned up. */
  readonly decode: (ids: Iterable<number>, options?: { readonly skipSpecial?: boolean }) => string;
  /** For tokens that come one by one. */
  readonly decodeStream: (options?: { readonly skipSpecial?: boolean }) => DecodeStream;
  readonly special: SpecialIds;
  /** A token by its name, special or not. */
  readonly idOf: (token: string) => number | undefined;
  readonly tokenOf: (id: number) => string | undefined;
  /** One more than the largest id. The model's embedding may have more rows. */
  readonly vocabularySize: number;
  /** Source of the model's chat template, where it has one. */
  readonly chatTemplate?: string;
};

export type SpecialIds = {
  readonly bos?: number;
  readonly eos?: number;
  readonly pad?: number;
  /** Every token after which an answer is over: eos, and the ends of turn that the vocabulary knows. */
  readonly endOfTurn: readonly number[];
};

/** What stands beside tokenizer.json. Tokens by name. */
export type TokenizerSettings = {
  readonly bos?: string | undefined;
  readonly eos?: string | undefined;
  readonly pad?: string | undefined;
  /** Ids that end an answer, besides eos. */
  readonly endIds?: readonly number[] | undefined;
  readonly chatTemplate?: string | undefined;
};

/** Ends of turn and of text by the names that model families gave them. */
const endNames = ['<|eot_id|>', '<|eom_id|>', '<|end_of_text|>', '<end_of_turn>', '<|im_end|>', '<|endoftext|>', '</s>', '<eos>'];

/**
 * The tokenizer of a Hugging Face folder: tokenizer.json, with tokenizer_config.json, special_tokens_map.json, generation_config.json,
 * chat_template.jinja or chat_template.json beside it where they exist.
 *
 * @throws UserError `tokenizer.missing`, `tokenizer.unreadable`
 */
export function tokenizerFromFolder(folder: string): Tokenizer {
  const file = join(folder, 'tokenizer.json');
  if (!existsSync(file)) {
    const hint = existsSync(join(folder, 'tokenizer.model'))
      ? 'the folder has only tokenizer.model: load and save it once with transformers, which writes tokenizer.json'
      : 'copy tokenizer.json and tokenizer_config.json from the model it belongs to';
    throw new UserError('tokenizer.missing', `tokenizer: not found: ${file}; ${hint}`);
  }
  const read = (name: string) => readJson(join(folder, name));
  const config = read('tokenizer_config.json');
  const map = read('special_tokens_map.json');
  const named = (key: string) => tokenName(config[key]) ?? tokenName(map[key]);
  const template = join(folder, 'chat_template.jinja');
  return makeTokenizer(readJson(file) as unknown as TokenizerJson, {
    bos: named('bos_token'),
    eos: named('eos_token'),
    pad: named('pad_token'),
    endIds: [read('generation_config.json')['eos_token_id']].flat().filter((id) => typeof id === 'number'),
    chatTemplate: existsSync(template)
      ? readFileSync(template, 'utf8')
      : (templateText(config['chat_template']) ?? templateText(read('chat_template.json')['chat_template'])),
  });
}

/** A tokenizer of a tokenizer.json and what stands beside it. */
export function makeTokenizer(found: TokenizerJson, settings: TokenizerSettings): Tokenizer {
  const json = complete(found);
  const encoder = new Encoder(portable(json), {});
  // The package's own count: tokens of the model, then those that were added.
  const ids = encoder.get_vocab();
  const vocabulary: string[] = [];
  for (const [token, id] of ids) vocabulary[id] = token;
  const idOf = (token: string | undefined) => (token === undefined ? undefined : ids.get(token));

  const isSpecial = new Set(json.added_tokens.filter(({ special }) => special).map(({ id }) => id));
  const [bos, eos, pad] = [idOf(settings.bos), idOf(settings.eos), idOf(settings.pad)];
  const ends = [eos, ...(settings.endIds ?? []), ...endNames.map((name) => idOf(name))].filter((id) => id !== undefined);
  const { before, after } = surrounding(json);

  let spelled: TokenBytes | undefined;
  const bytes = () => (spelled ??= tokenBytes(json, vocabulary));
  const plain = (text: string) => (text === '' ? [] : encoder.encode(text, { add_special_tokens: false }).ids);
  const stream = ({ skipSpecial = false } = {}) => decodeStream(bytes(), (id) => skipSpecial && isSpecial.has(id));
  return {
    encode: (text, { special = true } = {}) => (special ? [...before, ...plain(text), ...after] : plain(text)),
    encodeWithOffsets: (text) => {
      const found = plain(text);
      return { ids: found, ...tokenOffsets(text, found, bytes()) };
    },
    decode: (tokens, options) => {
      const { push, end } = stream(options);
      let text = '';
      for (const id of tokens) text += push(id);
      return text + end();
    },
    decodeStream: stream,
    special: {
      ...(bos === undefined ? {} : { bos }),
      ...(eos === undefined ? {} : { eos }),
      ...(pad === undefined ? {} : { pad }),
      endOfTurn: [...new Set(ends)],
    },
    idOf,
    tokenOf: (id) => vocabulary[id],
    vocabularySize: vocabulary.length,
    ...(settings.chatTemplate === undefined ? {} : { chatTemplate: settings.chatTemplate }),
  };
}

/** Keys that older files leave out. */
function complete(json: TokenizerJson): TokenizerJson {
  const { added_tokens = [], normalizer = null, pre_tokenizer = null, post_processor = null, decoder = null, model } = json;
  if (typeof model?.vocab !== 'object')
    throw new UserError('tokenizer.unreadable', 'tokenizer: no vocabulary in tokenizer.json; copy it again');
  return { ...json, added_tokens: added_tokens as readonly AddedToken[], normalizer, pre_tokenizer, post_processor, decoder, model };
}

/** Ids that the post-processor's template puts before and after one text. transformers goes by it alone, whatever `add_bos_token` says. */
function surrounding({ post_processor }: TokenizerJson): { readonly before: number[]; readonly after: number[] } {
  const template = parts(post_processor, 'processors').find(({ type }) => type === 'TemplateProcessing') as
    | {
        readonly single: readonly { readonly SpecialToken?: { readonly id: string } }[];
        readonly special_tokens: Readonly<Record<string, { readonly ids: readonly number[] }>>;
      }
    | undefined;
  const single = template?.single ?? [];
  const at = single.findIndex((item) => item.SpecialToken === undefined);
  const idsOf = (items: typeof single) => items.flatMap(({ SpecialToken }) => template!.special_tokens[SpecialToken!.id]?.ids ?? []);
  return { before: idsOf(single.slice(0, Math.max(at, 0))), after: idsOf(single.slice(at + 1)) };
}

function readJson(file: string): Record<string, unknown> {
  if (!existsSync(file) || !statSync(file).isFile()) return {};
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch (cause) {
    throw new UserError('tokenizer.unreadable', `tokenizer: not JSON: ${file}; copy it again`, { cause });
  }
}

const tokenName = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : typeof (value as AddedToken | null)?.content === 'string' ? (value as AddedToken).content : undefined;

/** One template, or the one called default of several. */
function templateText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return undefined;
  const several = value as readonly { readonly name: string; readonly template: string }[];
  return (several.find(({ name }) => name === 'default') ?? several[0])?.template;
}
