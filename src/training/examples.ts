import { UserError } from '../base/errors.ts';
import { thousands } from '../base/text.ts';
import type { ChatMessage, ChatTemplate } from '../models/chat-template.ts';
import { encodeChat, encodeMasked, type MaskedIds } from '../models/encode-chat.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import type { Row } from './dataset.ts';

/** A row as tokens. */
export type Example =
  | { readonly kind: 'causal'; readonly ids: Int32Array /** 1: the token is learned. */; readonly mask: Uint8Array }
  | { readonly kind: 'class'; readonly ids: Int32Array; readonly label: number };

export type ExampleOptions = {
  readonly tokenizer: Tokenizer;
  /** Needed for chats. */
  readonly template?: ChatTemplate | undefined;
  /** Longest example in tokens. */
  readonly contextLength: number;
  /** Cut longer rows at their end; else they are refused. */
  readonly truncate?: boolean | undefined;
  /** Names of the classes, in the model's order. */
  readonly labels?: readonly string[] | undefined;
};

export type Examples = {
  readonly examples: readonly Example[];
  readonly truncated: number;
  /** Cut before the first token that is learned, and left out. */
  readonly dropped: number;
};

/**
 * Rows as tokens. A plain text gets the model's bos and ends with eos; a prompt and its completion are one text, of which the completion
 * and eos are learned; a chat is written by the model's template.
 *
 * @throws UserError `dataset.too-long`, `dataset.label`, `dataset.empty-mask`, `dataset.empty`, and those of the template; each names file and row
 */
export function makeExamples(rows: readonly Row[], options: ExampleOptions): Examples {
  const { contextLength, truncate = false } = options;
  const examples: Example[] = [];
  let truncated = 0;
  let dropped = 0;
  for (const row of rows) {
    const { ids, mask } = placed(row, () => encode(row, options));
    if (ids.length === 0) throw new UserError('dataset.empty', `dataset: no tokens in ${row.place}; remove the row`);
    const isLong = ids.length > contextLength;
    if (isLong && !truncate) {
      throw new UserError(
        'dataset.too-long',
        `dataset: longer than the context: ${thousands(ids.length)} tokens in ${row.place}; at most ${thousands(contextLength)}: shorten it, or truncate`,
      );
    }
    const kept = Int32Array.from(isLong ? ids.slice(0, contextLength) : ids);
    if (isLong) truncated += 1;
    if (row.kind === 'class') {
      examples.push({ kind: 'class', ids: kept, label: labelId(row.label, { labels: options.labels ?? [], place: row.place }) });
    } else if (mask.subarray(1, kept.length).includes(1)) {
      examples.push({ kind: 'causal', ids: kept, mask: mask.slice(0, kept.length) });
    } else if (isLong) {
      dropped += 1;
    } else {
      throw new UserError('dataset.empty-mask', `dataset: nothing to learn in ${row.place}; it needs an answer after the first token`);
    }
  }
  return { examples, truncated, dropped };
}

function encode(row: Row, { tokenizer, template }: ExampleOptions): MaskedIds {
  switch (row.kind) {
    case 'chat':
      return encodeChat(row.messages, { tokenizer, template: needed(template), from: row.from });
    case 'pair': {
      const text = row.prompt + row.completion;
      return closed(encodeMasked(text, [{ start: row.prompt.length, end: text.length }], tokenizer), tokenizer);
    }
    case 'text': {
      const ids = tokenizer.encode(row.text, { special: false });
      return closed({ ids, mask: new Uint8Array(ids.length).fill(1) }, tokenizer);
    }
    case 'class': {
      const ids = typeof row.input === 'string' ? tokenizer.encode(row.input) : chatIds(row.input, tokenizer, needed(template));
      return { ids, mask: new Uint8Array(ids.length) };
    }
  }
}

const chatIds = (messages: readonly ChatMessage[], tokenizer: Tokenizer, template: ChatTemplate) =>
  tokenizer.encode(template.render(messages), { special: false });

/** Between bos, where the model has texts begin so, and eos, which is learned. */
function closed({ ids, mask }: MaskedIds, { encode, special }: Tokenizer): MaskedIds {
  const before = encode('')
    .filter((id) => id === special.bos)
    .slice(0, ids[0] === special.bos ? 0 : 1);
  const after = special.eos === undefined || ids.at(-1) === special.eos ? [] : [special.eos];
  const whole = new Uint8Array(before.length + ids.length + after.length).fill(after.length, before.length + ids.length);
  whole.set(mask, before.length);
  return { ids: [...before, ...ids, ...after], mask: whole };
}

function needed(template: ChatTemplate | undefined): ChatTemplate {
  if (template === undefined) throw new UserError('chat.template', 'chat template: the model has none; give texts instead of chats');
  return template;
}

function labelId(label: number | string, { labels, place }: { readonly labels: readonly string[]; readonly place: string }): number {
  const id = typeof label === 'number' ? label : labels.includes(label) ? labels.indexOf(label) : /^\d+$/.test(label) ? Number(label) : -1;
  if (id >= 0 && id < labels.length) return id;
  const known = labels.map((name, i) => `${i} ${name}`).join(', ') || 'none';
  const shown = typeof label === 'number' ? `label out of range: ${label}` : 'label not known';
  throw new UserError('dataset.label', `dataset: ${shown} in ${place}; the model has: ${known}`);
}

/** Says which row a fault of the template or the tokenizer is about. */
function placed<T>({ place }: Row, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof UserError)) throw cause;
    throw new UserError(cause.code, `dataset: ${place}: ${cause.message}`, { cause });
  }
}
