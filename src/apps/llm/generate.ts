import { UserError } from '../../base/errors.ts';
import { type Progress, silent } from '../../base/progress.ts';
import { openDecoder } from '../../models/decoder.ts';
import { openModel } from '../../models/folder.ts';
import type { GenerationOptions } from '../../models/generate.ts';
import { streamTexts } from '../../models/generate-text.ts';
import { languageModel } from '../../models/language-model.ts';
import { openTokenizer } from '../../models/open-tokenizer.ts';
import { readAdapter } from '../../models/peft.ts';
import { loadResident } from '../../models/resident.ts';
import { policyNamed, storageOf } from '../../models/storage.ts';
import { encodePrompt, type Prompt } from './prompts.ts';

export type AnswerOptions = Pick<GenerationOptions, 'temperature' | 'topK' | 'topP' | 'repetitionPenalty' | 'seed' | 'rows'> & {
  readonly model: string;
  readonly adapter?: string | undefined;
  readonly prompts: readonly Prompt[];
  /** Continue the text as it is, without the chat template. */
  readonly isRaw?: boolean;
  /** Default 256, or what the model's context leaves. */
  readonly maxNewTokens?: number | undefined;
  /** Texts that end an answer, and are cut off. */
  readonly stop?: readonly string[];
  readonly threads?: number | undefined;
  readonly progress?: Progress;
  /** Told each piece of an answer as it comes. */
  readonly onText?: (prompt: number, piece: string) => void;
};

export type Answer = {
  readonly text: string;
  /** New tokens, the one that ended the answer included. */
  readonly tokens: number;
  /** A stop token or text, or no room for more. */
  readonly end: 'stop' | 'length';
};

export type Answers = {
  readonly answers: readonly Answer[];
  readonly tokens: number;
  /** New tokens of all answers by the seconds from the first to the last: loading and reading the prompts are not in it. */
  readonly tokensPerSecond: number;
};

const usualTokens = 256;

/**
 * Answers prompts with a model.
 *
 * @throws UserError as `openModel`, `openTokenizer`, `readAdapter`, `encodePrompt` and `generate`; `generate.task` for a classifier
 */
export async function answer({
  model: path,
  adapter: adapterPath,
  prompts,
  isRaw = false,
  maxNewTokens,
  stop = [],
  threads,
  progress = silent,
  onText = () => {},
  ...options
}: AnswerOptions): Promise<Answers> {
  const folder = await openModel(path);
  try {
    const { config } = folder;
    if (config.labels) throw new UserError('generate.task', `generate: is a classifier: ${path}; name a model that writes text`);
    const tokenizer = openTokenizer(path);
    const ids = prompts.map((prompt) => encodePrompt(prompt, { tokenizer, isRaw }));
    const found = adapterPath === undefined ? undefined : await readAdapter(adapterPath, { base: folder });
    const storage = policyNamed(found?.trainedOn) ?? 'stored';
    const resident = await loadResident(folder, { storage: storageOf(storage), progress });
    const session = threads === undefined ? {} : { threads };
    const model = languageModel(resident, { session, ...(found && { adapter: found.adapter }) });
    const decoder = openDecoder(model);
    try {
      const longest = ids.reduce((most, { length }) => Math.max(most, length), 0);
      const room = Math.max(1, Math.min(usualTokens, config.contextLength - longest));
      const answers = prompts.map((): { text: string; tokens: number; end: Answer['end'] } => ({ text: '', tokens: 0, end: 'length' }));
      let [tokens, first, last] = [0, 0, 0];
      const start = performance.now();
      const parts = streamTexts(decoder, ids, {
        ...options,
        tokenizer,
        stop,
        maxNewTokens: maxNewTokens ?? room,
        stopTokens: [...new Set([...config.eosTokenIds, ...(isRaw ? [] : tokenizer.special.endOfTurn)])],
      });
      for await (const { prompt, text, end } of parts) {
        last = performance.now();
        if (tokens === 0) first = last;
        tokens += 1;
        const one = answers[prompt]!;
        one.text += text;
        one.tokens += 1;
        if (end) one.end = end;
        if (text !== '') onText(prompt, text);
      }
      const seconds = (tokens > 1 ? last - first : last - start) / 1000;
      const rate = tokens === 0 ? 0 : (tokens > 1 ? tokens - 1 : 1) / Math.max(seconds, 1e-6);
      return {
        answers,
        tokens,
        tokensPerSecond: Number(rate.toPrecision(4)),
      };
    } finally {
      await decoder.close();
      await model.close();
    }
  } finally {
    await folder.close();
  }
}
