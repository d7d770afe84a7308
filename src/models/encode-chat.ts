import type { ChatMessage, ChatTemplate, Span } from './chat-template.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Token ids, and for each whether training counts it (1) or only reads it (0). */
export type MaskedIds = { readonly ids: number[]; readonly mask: Uint8Array };

/**
 * A chat as tokens, with the assistant's tokens (from message `from` on) marked, each turn's end included.
 *
 * @throws UserError `chat.template`, `chat.mask`, `tokenizer.offsets`
 */
export function encodeChat(
  messages: readonly ChatMessage[],
  { tokenizer, template, from = 0 }: { readonly tokenizer: Tokenizer; readonly template: ChatTemplate; readonly from?: number },
): MaskedIds {
  const { text, spans } = template.renderMasked(messages, { from });
  return encodeMasked(text, spans, tokenizer);
}

/** A text as tokens, with those marked that hold a letter of one of the spans. No bos or eos is added. */
export function encodeMasked(text: string, spans: readonly Span[], tokenizer: Tokenizer): MaskedIds {
  const { ids, starts, ends } = tokenizer.encodeWithOffsets(text);
  const mask = new Uint8Array(ids.length);
  for (const { start, end } of spans) for (let i = 0; i < ids.length; i++) if (ends[i]! > start && starts[i]! < end) mask[i] = 1;
  return { ids, mask };
}
