// Generation as text: tokens come back as text, character by character whole, and end before a stop text, which may be spread over tokens.

import { UserError } from '../base/errors.ts';
import type { Decoder } from './decoder.ts';
import { type GenerationOptions, generate, type NewToken } from './generate.ts';
import { stopTexts } from './stop-texts.ts';
import type { Tokenizer } from './tokenizer.ts';

export type TextOptions = Omit<GenerationOptions, 'isOver'> & {
  readonly tokenizer: Tokenizer;
  /** A text is over before the first of these. */
  readonly stop?: readonly string[];
};

/** What one more token has made sure of a text. */
export type TextPart = {
  /** Place of its prompt in the list. */
  readonly prompt: number;
  /** May be empty. */
  readonly text: string;
  /** With the last part, why it is the last. */
  readonly end?: 'stop' | 'length';
};

/**
 * Continues texts, part by part as they come: of several prompts, mixed. One part for every token. Stop tokens, unless others are named, are
 * the model's own and the ends of a turn that the tokenizer knows; they are not in the text.
 *
 * @throws as `generate`
 */
export async function* streamTexts(
  decoder: Decoder,
  prompts: readonly (readonly number[])[],
  { tokenizer, stop = [], ...options }: TextOptions,
): AsyncGenerator<TextPart, void> {
  if (stop.includes('')) throw new UserError('generate.options', 'generate: empty stop text: it would end every text at once');
  const stopTokens = options.stopTokens ?? [...new Set([...decoder.model.config.eosTokenIds, ...tokenizer.special.endOfTurn])];
  const texts = prompts.map(() => ({
    stream: tokenizer.decodeStream({ skipSpecial: true }),
    stops: stopTexts(stop),
    part: '',
    isOver: false,
  }));
  // Asked for every token but the stop tokens, just before it is given.
  const isOver = ({ prompt, id }: NewToken): boolean => {
    const text = texts[prompt]!;
    const { shown, isOver } = text.stops.push(text.stream.push(id));
    text.part = shown;
    text.isOver = isOver;
    return isOver;
  };
  for await (const { prompt, end } of generate(decoder, prompts, { ...options, stopTokens, isOver })) {
    const text = texts[prompt]!;
    let { part } = text;
    text.part = '';
    if (end && !text.isOver) {
      const rest = text.stops.push(text.stream.end());
      part += rest.shown + (rest.isOver ? '' : text.stops.end());
    }
    yield { prompt, text: part, ...(end && { end }) };
  }
}
