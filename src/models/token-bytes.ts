// From tokens back to text, by bytes. A token is a fixed run of bytes and a text is their sum, so decoding is concatenation, a stream
// is the same with a decoder that keeps an unfinished character back, and where a token lies in its text is the sum before it.
//
//   byte level (GPT-2, Llama 3): each letter of a token stands for one byte; "Ġ" is the space, "Ã" then "©" are the two bytes of "é"
//   SentencePiece (Llama 2, Gemma): "▁" is the space, "<0xE9>" one byte, all else its UTF-8; one space at the very start is dropped
//     where the encoder had put one there
//
// Worked case: the emoji of four bytes as four tokens: three pushes give "", the fourth the emoji. Source of the byte letters: GPT-2's
// encoder: the printable Latin-1 signs stand for themselves, the other bytes in order for U+0100 onward.

import { UserError } from '../base/errors.ts';
import { parts, type TokenizerJson } from './tokenizer-json.ts';

export type TokenBytes = {
  readonly of: (id: number) => Uint8Array;
  /** One space at the start of a decoded text was put there by the encoder. */
  readonly dropsSpace: boolean;
};

const utf8 = new TextEncoder();

const byteOfLetter: ReadonlyMap<string, number> = (() => {
  const isPrintable = (byte: number) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  return new Map(Array.from({ length: 256 }, (_, byte) => [String.fromCharCode(isPrintable(byte) ? byte : next++), byte]));
})();

/** @throws UserError `tokenizer.decoder` for a decoder that is neither byte level nor SentencePiece (WordPiece, say) */
export function tokenBytes(json: TokenizerJson, vocabulary: readonly (string | undefined)[]): TokenBytes {
  const steps = parts(json.decoder, 'decoders');
  const kinds = new Set(steps.map(({ type }) => type));
  const added = new Map(json.added_tokens.map(({ id, content }) => [id, content]));
  const isByteLevel = kinds.has('ByteLevel');
  if (!isByteLevel && !kinds.has('Metaspace') && !steps.some(({ type, content }) => type === 'Replace' && content === ' ')) {
    const named = [...kinds].join(', ') || 'none';
    throw new UserError('tokenizer.decoder', `tokenizer: decoder not known: ${named}; known: ByteLevel, and ▁ with ByteFallback`);
  }
  const hasByteTokens = kinds.has('ByteFallback');
  const spell = (id: number): Uint8Array => {
    const token = added.get(id) ?? vocabulary[id] ?? '';
    if (isByteLevel) {
      const bytes = added.has(id) ? [] : Array.from(token, (letter) => byteOfLetter.get(letter));
      return bytes.length > 0 && !bytes.includes(undefined) ? Uint8Array.from(bytes as number[]) : utf8.encode(token);
    }
    const byte = hasByteTokens ? token.match(/^<0x([0-9A-F]{2})>$/)?.[1] : undefined;
    return byte === undefined ? utf8.encode(token.replaceAll('▁', ' ')) : Uint8Array.of(Number.parseInt(byte, 16));
  };
  const spelled: Uint8Array[] = [];
  const dropsSpace = steps.some((step) =>
    step['type'] === 'Metaspace' ? step['prepend_scheme'] !== 'never' : step['type'] === 'Strip' && Number(step['start']) > 0,
  );
  return { of: (id) => (spelled[id] ??= spell(id)), dropsSpace };
}

export type DecodeStream = {
  /** Takes one token and gives the text that is now sure: never half a character. */
  readonly push: (id: number) => string;
  /** What was kept back: bytes that never became a character, as U+FFFD. */
  readonly end: () => string;
};

/** A decoder that takes tokens one by one; `skip` says which are left out. */
export function decodeStream({ of, dropsSpace }: TokenBytes, skip: (id: number) => boolean): DecodeStream {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let atStart = dropsSpace;
  return {
    push: (id) => {
      if (skip(id)) return '';
      const bytes = of(id);
      if (bytes.length === 0) return '';
      const dropped = atStart && bytes[0] === 0x20 ? bytes.subarray(1) : bytes;
      atStart = false;
      return decoder.decode(dropped, { stream: true });
    },
    end: () => decoder.decode(),
  };
}

/**
 * Where each token lies in its text: [start, end) in UTF-16 units; a token that holds part of a character's bytes holds the character.
 * Spaces that a token has and the text has not (put there by the encoder), or the other way round (eaten by a special token), are passed over.
 *
 * @throws UserError `tokenizer.offsets` when the tokens do not spell the text, as after a normaliser that changes letters
 */
export function tokenOffsets(
  text: string,
  ids: readonly number[],
  { of }: TokenBytes,
): { readonly starts: Int32Array; readonly ends: Int32Array } {
  const bytes = utf8.encode(text);
  const unitOfByte = new Int32Array(bytes.length + 1);
  for (let unit = 0, at = 0; unit < text.length; ) {
    const point = text.codePointAt(unit)!;
    const size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    unitOfByte.fill(unit, at, at + size);
    at += size;
    unit += point > 0xffff ? 2 : 1;
    unitOfByte[at] = unit;
  }
  const starts = new Int32Array(ids.length);
  const ends = new Int32Array(ids.length);
  const matches = (token: Uint8Array, at: number) => at + token.length <= bytes.length && token.every((byte, i) => bytes[at + i] === byte);
  let at = 0;
  ids.forEach((id, index) => {
    let token = of(id);
    if (!matches(token, at)) {
      let next = at;
      while (isSpace(bytes[next]) && !matches(token, next)) next += 1;
      if (matches(token, next)) at = next;
      else if (token[0] === 0x20 && matches(token.subarray(1), at)) token = token.subarray(1);
      else
        throw new UserError(
          'tokenizer.offsets',
          `tokenizer: tokens do not spell their text at token ${index}; this tokenizer rewrites letters, which masks cannot follow`,
        );
    }
    starts[index] = unitOfByte[at]!;
    at += token.length;
    // The end is after the character that the last byte belongs to.
    let after = at;
    while (after < bytes.length && (bytes[after]! & 0xc0) === 0x80) after += 1;
    ends[index] = unitOfByte[after]!;
  });
  return { starts, ends };
}

const isSpace = (byte: number | undefined) => byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
