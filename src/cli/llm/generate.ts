import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { z } from 'zod';

import { type Answers, answer } from '../../apps/llm/generate.ts';
import { readPrompts } from '../../apps/llm/prompts.ts';
import { UserError } from '../../base/errors.ts';
import { countOption, numberOption, threadsSchema } from '../option-schemas.ts';
import { threadsOption, verb } from '../verb.ts';
import { adapterOption, modelOption, pathSchema } from './options.ts';

const schema = z.strictObject({
  model: pathSchema,
  adapter: pathSchema.optional(),
  prompt: z.string().min(1).optional(),
  prompts: pathSchema.optional(),
  raw: z.boolean().default(false),
  maxNewTokens: countOption.refine((count) => count > 0, { message: 'not a whole number from 1 up' }).optional(),
  temperature: numberOption,
  topK: countOption,
  topP: numberOption,
  repetitionPenalty: numberOption,
  seed: countOption,
  stop: z.array(z.string().min(1)).default([]),
  batch: countOption.refine((count) => count > 0, { message: 'not a whole number from 1 up' }),
  threads: threadsSchema,
});

/** `clinfuse llm generate`: what a model answers. */
export function generateCommand(): Command {
  return verb({
    name: 'generate',
    summary: 'answers prompts with a model, adapted or not, as it writes',
    example: 'clinfuse llm generate --model models/smollm2 --prompt "What is anaemia?" --max-new-tokens 100',
    options: [
      modelOption,
      adapterOption,
      { flags: '--prompt <text>', help: 'what to answer; - reads it from standard input' },
      { flags: '--prompts <file>', help: 'or many: JSON lines of {"prompt"} or {"messages"}' },
      { flags: '--raw', help: 'continue the text as it is, without the chat template' },
      { flags: '--max-new-tokens <count>', help: 'longest answer (default: 256, or what the context leaves)' },
      { flags: '--temperature <t>', help: '0: always the likeliest token; 1: by the model’s own probabilities', default: 0 },
      { flags: '--top-k <count>', help: 'draw from the likeliest so many; 0: all', default: 0 },
      { flags: '--top-p <p>', help: 'draw from the likeliest that add up to this; 1: all', default: 1 },
      { flags: '--repetition-penalty <p>', help: 'above 1: tokens that came before are less likely', default: 1 },
      { flags: '--seed <number>', help: 'of the draws', default: 0 },
      { flags: '--stop <text...>', help: 'texts that end an answer' },
      { flags: '--batch <count>', help: 'prompts that are answered together', default: 8 },
      threadsOption,
    ],
    schema,
    run: async ({ prompt, prompts, raw, batch, ...options }, { json, progress, log }) => {
      if ((prompt === undefined) === (prompts === undefined)) {
        throw new UserError('cli.option', 'generate: name either --prompt or --prompts');
      }
      const isOne = prompt !== undefined;
      const given = isOne ? [prompt === '-' ? readFileSync(0, 'utf8').trimEnd() : prompt] : readPrompts(prompts!);
      const isStreamed = isOne && !json;
      const onText = isStreamed ? (_: number, piece: string) => void process.stdout.write(piece) : () => {};
      const result = await answer({ ...options, prompts: given, isRaw: raw, rows: batch, progress, onText });
      if (isStreamed) process.stdout.write('\n');
      const { tokens, tokensPerSecond, answers } = result;
      log(`${isOne ? '' : `${answers.length} answers, `}${tokens} tokens, ${tokensPerSecond} tokens/s`);
      if (!isOne) return { text: told(result), json: result };
      return { json: { text: answers[0]!.text, tokens, tokensPerSecond } };
    },
  });
}

/** Answers under their numbers. */
const told = ({ answers }: Answers) => answers.map(({ text }, i) => `--- ${i + 1} ---\n${text.trim()}`).join('\n\n');
