// Chats as the model was trained to read them: its own jinja template, and which letters of the result the assistant wrote.
//
// Training counts only what the assistant said, with the token that ends its turn. Two ways to find that, both by one more rendering in
// which marks stand, never by searching for the text itself:
//
//   markers  The template says it: {% generation %} ... {% endgeneration %}. The jinja package drops these, so before parsing each becomes
//            a block that prints a mark; the rendering without marks must equal the template's own.
//   holes    Otherwise each assistant's content is replaced by a mark. What stands around the marks is the template's; put between, the
//            contents (as they are, or trimmed) must give exactly the real rendering, which proves the places. The turn's end is what
//            follows, when it is a token that ends a turn.
//
// A mark is a run of private-use letters that occurs neither in the template nor in any message, so no text can forge it. Comparing
// renderings of the chat cut short (prefix differences) was left out: it takes two renderings a turn and fails where a template treats the
// last turn differently or refuses a chat that ends with a user.
//
// Worked case: "<s>U: hi\nA: MARK</s>" around content " yo " in "<s>U: hi\nA: yo</s>": span "yo</s>".

import { Template } from '@huggingface/jinja';

import { UserError } from '../base/errors.ts';
import type { Tokenizer } from './tokenizer.ts';

export type ChatMessage = { readonly role: string; readonly content: string };

/** A part of a text, [start, end) in UTF-16 units. */
export type Span = { readonly start: number; readonly end: number };

export type ChatTemplate = {
  /** @throws UserError `chat.template` with the template's own complaint (roles that do not alternate, a role it does not know) */
  readonly render: (messages: readonly ChatMessage[], options?: { readonly addGenerationPrompt?: boolean }) => string;
  /**
   * The chat as text, and what its assistant wrote; of messages from `from` on (default 0) only.
   *
   * @throws UserError `chat.mask` when the places cannot be proven
   */
  readonly renderMasked: (
    messages: readonly ChatMessage[],
    options?: { readonly from?: number },
  ) => { readonly text: string; readonly spans: readonly Span[] };
};

export type ChatTokens = {
  readonly bosToken?: string | undefined;
  readonly eosToken?: string | undefined;
  /** Names of the tokens that end a turn. */
  readonly endOfTurn: readonly string[];
};

const generationTag = /\{%(-?)\s*(end)?generation\s*(-?)%\}/g;
/** Roles whose content is the model's own. */
const isAssistant = ({ role }: ChatMessage) => role === 'assistant' || role === 'model';

/**
 * Parses a chat template.
 *
 * @throws UserError `chat.template` when it is not jinja
 */
export function chatTemplate(source: string, tokens: ChatTokens): ChatTemplate {
  const plain = parse(source);
  const render: ChatTemplate['render'] = (messages, options) => fill(plain, messages, { tokens, ...options });
  const hasMarkers = source.match(generationTag) !== null;
  return {
    render,
    renderMasked: (messages, { from = 0 } = {}) => {
      const text = render(messages);
      const mark = freeMark([source, text, ...messages.map(({ content }) => content)].join(''));
      const spans = hasMarkers
        ? markedSpans({ source, text, messages, tokens, mark, from })
        : holeSpans({ plain, text, messages, tokens, mark, from });
      return { text, spans };
    },
  };
}

/**
 * The chat template that a tokenizer came with.
 *
 * @throws UserError `chat.template` when it came with none
 */
export function chatTemplateOf({ chatTemplate: source, special, tokenOf }: Tokenizer): ChatTemplate {
  if (source === undefined) {
    throw new UserError(
      'chat.template',
      'chat template: the model has none; give texts instead of chats, or add chat_template.jinja to its folder',
    );
  }
  const name = (id: number | undefined) => (id === undefined ? undefined : tokenOf(id));
  return chatTemplate(source, {
    bosToken: name(special.bos),
    eosToken: name(special.eos),
    endOfTurn: special.endOfTurn.flatMap((id) => tokenOf(id) ?? []),
  });
}

/** Spans between the template's own markers. */
function markedSpans({ source, text, messages, tokens, mark, from }: Marked & { readonly source: string }): Span[] {
  // As a block, not an expression: what jinja strips around a block is then stripped here as well.
  const marking = source.replaceAll(generationTag, (_, left: string, end: string | undefined, right: string) => {
    return `{%${left} if true %}${mark}${end ? '/' : ' '}{% endif ${right}%}`;
  });
  const pieces = fill(parse(marking), messages, { tokens }).split(mark);
  const spans: Span[] = [];
  let joined = pieces[0]!;
  let start: number | undefined;
  for (const piece of pieces.slice(1)) {
    const opens = piece.startsWith(' ');
    if (opens === (start !== undefined)) throw unproven('its generation markers are not in pairs');
    if (start !== undefined) spans.push({ start, end: joined.length });
    start = opens ? joined.length : undefined;
    joined += piece.slice(1);
  }
  if (joined !== text) throw unproven('its generation markers change what it writes');
  const answers = messages.filter(isAssistant).length;
  if (from > 0 && spans.length !== answers) throw unproven(`it marks ${spans.length} parts of ${answers} answers`);
  return from > 0 ? spans.slice(messages.slice(0, from).filter(isAssistant).length) : spans;
}

type Marked = {
  readonly text: string;
  readonly messages: readonly ChatMessage[];
  readonly tokens: ChatTokens;
  readonly mark: string;
  readonly from: number;
};

/** Spans of the contents, proven by putting them back. */
function holeSpans({ plain, text, messages, tokens, mark, from }: Marked & { readonly plain: Template }): Span[] {
  const wanted = messages.flatMap((message, index) => (index >= from && isAssistant(message) ? [message.content] : []));
  if (wanted.length === 0) return [];
  const holes = messages.map((message, index) => (index >= from && isAssistant(message) ? { ...message, content: mark } : message));
  const around = fill(plain, holes, { tokens }).split(mark);
  if (around.length !== wanted.length + 1) throw unproven('it writes an answer twice or not at all');

  const spans: Span[] = [];
  let at = around[0]!.length;
  if (!text.startsWith(around[0]!)) throw unproven('it changes what stands around an answer');
  wanted.forEach((content, index) => {
    const after = around[index + 1]!;
    const isLast = index === wanted.length - 1;
    const fits = (written: string) => {
      const rest = at + written.length;
      return text.startsWith(written, at) && text.startsWith(after, rest) && (!isLast || rest + after.length === text.length);
    };
    const written = [content, content.trim(), content.trimStart(), content.trimEnd()].find(fits);
    if (written === undefined) throw unproven('it rewrites an answer');
    const end = at + written.length;
    spans.push({ start: at, end: end + endOfTurn(after, tokens) });
    at = end + after.length;
  });
  return spans;
}

/** Length of the token that ends a turn at the start of a text, with the spaces before it. */
function endOfTurn(after: string, { endOfTurn, eosToken }: ChatTokens): number {
  const spaces = after.length - after.trimStart().length;
  const found = [...endOfTurn, ...(eosToken ? [eosToken] : [])].find((token) => after.startsWith(token, spaces));
  return found === undefined ? 0 : spaces + found.length;
}

/** Private-use letters that occur nowhere in the text. */
function freeMark(text: string): string {
  let mark = '\ue0f0\ue0f1';
  while (text.includes(mark)) mark += '\ue0f1';
  return mark;
}

const unproven = (why: string) =>
  new UserError('chat.mask', `chat template: cannot tell which tokens are the assistant's: ${why}; give it {% generation %} markers`);

/** Templates print today's date where they can, else a fixed one; the same chat must give the same text on any day. */
const withoutClock = '{% set strftime_now = undefined %}\n';

function parse(source: string): Template {
  try {
    return new Template(withoutClock + source);
  } catch (cause) {
    throw new UserError('chat.template', `chat template: not understood: ${(cause as Error).message}; mend chat_template of the model`, {
      cause,
    });
  }
}

function fill(
  template: Template,
  messages: readonly ChatMessage[],
  { tokens, addGenerationPrompt = false }: { readonly tokens: ChatTokens; readonly addGenerationPrompt?: boolean },
): string {
  try {
    return template.render({
      messages: messages.map(({ role, content }) => ({ role, content })),
      add_generation_prompt: addGenerationPrompt,
      bos_token: tokens.bosToken ?? '',
      eos_token: tokens.eosToken ?? '',
    });
  } catch (cause) {
    throw new UserError(
      'chat.template',
      `chat template: refused the chat: ${(cause as Error).message}; the model wants another order or other roles`,
      {
        cause,
      },
    );
  }
}
