// Generation from text to text: prompts are spelt as tokens, and tokens come back as text, character by character whole. A stop string
// may be spread over several tokens, so what could be the beginning of one is held back until it is clear that it is not.

import { UserError } from '../base/errors.ts';
import type { Decoder } from './decoder.ts';
import { type GenerationOptions, generate, type NewToken } from './generate.ts';
import type { Tokenizer } from './tokenizer.ts';

export type TextOptions = Omit<GenerationOptions, 'isOver'> & {
  /** A text is over before the first of these. */
  readonly stopStrings?: readonly string[];
  /** Prompts are renderings of a chat, which brings its own first token. Default false. */
  readonly isChat?: boolean;
};

export type TextPart = {
  /** Place of its prompt in the list. */
  readonly prompt: number;
  /** What is new and sure; may be empty. */
  readonly text: string;
  /** With the last part, why it is the last. */
  readonly end?: 'stop' | 'length';
};

export type GeneratedText = {
  readonly text: string;
  /** New tokens, the stop token counted. */
  readonly tokens: number;
  readonly end: 'stop' | 'length';
};

/** Continues texts, part by part as they come: of several prompts, mixed. One part for every token. */
export async function* streamTexts(
  decoder: Decoder,
  prompts: readonly string[],
  { tokenizer, stopStrings = [], isChat = false, ...options }: TextOptions & { readonly tokenizer: Tokenizer },
): AsyncGenerator<TextPart, void> {
  if (stopStrings.includes('')) throw new UserError('generate.options', 'generate: empty stop string: it would end every text at once');
  const stopTokens = options.stopTokens ?? [...new Set([...decoder.model.config.eosTokenIds, ...tokenizer.special.endOfTurn])];
  const texts = prompts.map(() => ({ stream: tokenizer.decodeStream({ skipSpecial: true }), stop: stopFinder(stopStrings), part: '' }));
  // Asked for every token but the stop tokens, just before it is given.
  const isOver = ({ prompt, id }: NewToken): boolean => {
    const text = texts[prompt]!;
    text.part = text.stop.push(text.stream.push(id));
    return text.stop.isFound();
  };
  const ids = prompts.map((prompt) => tokenizer.encode(prompt, { special: !isChat }));
  for await (const { prompt, end } of generate(decoder, ids, { ...options, stopTokens, isOver })) {
    const text = texts[prompt]!;
    const { part, stop, stream } = text;
    text.part = '';
    if (end) yield { prompt, text: stop.isFound() ? part : part + stop.rest() + stream.end(), end };
    else yield { prompt, text: part };
  }
}

/** Whole texts, in the order of their prompts, and how fast they came. */
export async function generateTexts(
  decoder: Decoder,
  prompts: readonly string[],
  options: TextOptions & { readonly tokenizer: Tokenizer },
): Promise<{ readonly texts: readonly GeneratedText[]; readonly tokensPerSecond: number }> {
  const texts = prompts.map(() => ({ text: '', tokens: 0, end: 'length' as 'stop' | 'length' }));
  const start = performance.now();
  let tokens = 0;
  for await (const { prompt, text, end } of streamTexts(decoder, prompts, options)) {
    const whole = texts[prompt]!;
    whole.text += text;
    whole.tokens += 1;
    tokens += 1;
    if (end) whole.end = end;
  }
  return { texts, tokensPerSecond: (1000 * tokens) / Math.max(performance.now() - start, 1e-3) };
}

/** Passes text on up to the first stop string. */
function stopFinder(stops: readonly string[]) {
  let held = '';
  let found = false;
  return {
    /** Gives what is sure not to belong to a stop string. */
    push: (text: string): string => {
      held += text;
      const places = stops.map((stop) => held.indexOf(stop)).filter((at) => at >= 0);
      found = places.length > 0;
      const sure = found ? Math.min(...places) : held.length - Math.max(0, ...stops.map((stop) => overlap(held, stop)));
      const part = held.slice(0, sure);
      held = held.slice(sure);
      return part;
    },
    isFound: () => found,
    /** What is held back. */
    rest: () => held,
  };
}

/** Length of the longest end of `text` that `stop` begins with. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) if (text.endsWith(stop.slice(0, length))) return length;
  return 0;
}
