// Makes a tokenizer.json say the same to @huggingface/tokenizers as it says to the Rust library it was written for.
//
// Three things differ. (1) `Digits` and the word pattern built into `ByteLevel` use JavaScript's \d and \s, which know fewer digits
// (no ½, no ٣) and other spaces than Rust's: both are written out as `Split` patterns, which the package translates letter by letter.
// (2) `Metaspace` with `split` does not split there. (3) A SentencePiece vocabulary has no word pattern at all, so a whole text is one
// piece: right, but slow, and no piece is ever met twice. Where no token of the vocabulary reaches from a word over the space after it
// ("a▁"), no merge can either, so cutting before each run of ▁ changes no id and lets the package remember words.
//
// Worked case: "the▁▁cat" is cut into "the" and "▁▁cat"; with a token "e▁" in the vocabulary it stays whole.

type Json = Readonly<Record<string, unknown>>;

/** What of tokenizer.json is read here; the rest is passed on as it is. */
export type TokenizerJson = {
  readonly added_tokens: readonly AddedToken[];
  readonly normalizer: Json | null;
  readonly pre_tokenizer: Json | null;
  readonly post_processor: Json | null;
  readonly decoder: Json | null;
  readonly model: Json & { readonly vocab: unknown };
};

export type AddedToken = { readonly id: number; readonly content: string; readonly special: boolean } & Json;

/** GPT-2's words: contractions, letters, digits and other signs, each with the space before; spaces at a text's end stay together. */
export const gpt2Words = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** The same tokenizer in words that the package takes as the Rust library does. */
export function portable(json: TokenizerJson): TokenizerJson {
  const model = json.model['type'] === undefined ? { ...json.model, type: 'BPE' } : json.model;
  return { ...json, model, pre_tokenizer: cutAtSpaces({ ...json, model }, rewrite(json.pre_tokenizer)) };
}

/** A pre-tokenizer that cuts a text into the matches of a pattern and what lies between them. */
export const split = (pattern: string): Json => ({ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false });

/** Several pre-tokenizers, or decoders, one after another. */
export const parts = (json: Json | null, key: 'pretokenizers' | 'decoders' | 'processors' | 'normalizers'): readonly Json[] => {
  if (json === null) return [];
  return json['type'] === 'Sequence' ? ((json[key] ?? []) as readonly Json[]).flatMap((part) => parts(part, key)) : [json];
};

function rewrite(preTokenizer: Json | null): Json | null {
  const found = parts(preTokenizer, 'pretokenizers').flatMap((part) => {
    if (part['type'] === 'Digits') return [split(part['individual_digits'] ? '\\p{N}' : '\\p{N}+')];
    if (part['type'] === 'ByteLevel' && part['use_regex'] !== false && !part['add_prefix_space']) {
      return [split(gpt2Words), { ...part, use_regex: false }];
    }
    if (part['type'] === 'Metaspace' && part['split'] !== false) return [part, split('▁?[^▁]*')];
    return [part];
  });
  return found.length === 0 ? null : { type: 'Sequence', pretokenizers: found };
}

/** Adds the cut before runs of ▁ where nothing but spaces made into ▁ stands between the text and the merges. */
function cutAtSpaces({ normalizer, model }: TokenizerJson, preTokenizer: Json | null): Json | null {
  const steps = parts(preTokenizer, 'pretokenizers');
  const marks =
    steps.some(({ type }) => type === 'Metaspace') ||
    parts(normalizer, 'normalizers').some(({ type, content }) => type === 'Replace' && content === '▁');
  const whole = steps.every((step) => step['type'] === 'Metaspace' || (step['pattern'] as Json | undefined)?.['String'] === ' ');
  if (!marks || !whole || model['type'] !== 'BPE') return preTokenizer;
  const reachesOver = Object.keys(model.vocab as object).some((token) => /[^▁]▁/u.test(token));
  return reachesOver ? preTokenizer : { type: 'Sequence', pretokenizers: [...steps, split('▁+[^▁]*|[^▁]+')] };
}
