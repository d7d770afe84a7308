import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';

import { chooseQuestions, joinAnswers, readSecondOpinion, writeCascade } from '../../../apps/entity-resolution/llm/cascade.ts';
import { inferPairs } from '../../../apps/entity-resolution/llm/infer.ts';
import { openQuestions } from '../../../apps/entity-resolution/llm/questions.ts';
import { UserError } from '../../../base/errors.ts';
import { writeFolder } from '../../../base/files.ts';
import { thousands } from '../../../base/text.ts';
import { storagePolicies } from '../../../models/storage.ts';
import { Database } from '../../../sql/duckdb.ts';
import { countOption, numberOption, threadsSchema } from '../../option-schemas.ts';
import { threadsOption, verb } from '../../verb.ts';
import { folderSchema, outOption } from '../options.ts';

const path = z.string().min(1);
const schema = z.strictObject({
  resolved: folderSchema,
  inferred: folderSchema,
  fusion: path,
  model: path,
  adapter: path.optional(),
  out: folderSchema,
  maxPairs: countOption.optional(),
  minGain: numberOption.optional(),
  batchSize: countOption,
  maxLength: countOption,
  storage: z.enum(storagePolicies, `not one of ${storagePolicies.join(', ')}`).optional(),
  threads: threadsSchema,
});

/** `clinfuse er llm cascade`: the language model's answers where they are worth most, joined to the evidence. */
export function cascadeCommand(): Command {
  return verb({
    name: 'cascade',
    summary: 'asks about pairs the evidence is unsure of, within a budget, and joins both',
    example:
      'clinfuse er llm cascade --resolved output/resolved --inferred output/inferred --fusion fusion.json --model base --adapter run/adapter --max-pairs 500 --out output/cascade',
    options: [
      { flags: '--resolved <folder>', help: 'what er resolve wrote', required: true },
      { flags: '--inferred <folder>', help: 'what er infer wrote: the evidence of all candidates', required: true },
      { flags: '--fusion <file>', help: 'what fit-cascade wrote', required: true },
      { flags: '--model <path>', help: 'model folder or GGUF file: merged, or the base of --adapter', required: true },
      { flags: '--adapter <folder>', help: 'adapter to put on it' },
      outOption,
      { flags: '--max-pairs <count>', help: 'most pairs to ask about' },
      {
        flags: '--min-gain <decisions>',
        help: 'ask where that puts right at least so many decisions, in expectation (0.01: one in 100 pairs)',
      },
      { flags: '--batch-size <count>', help: 'most pairs at once', default: 16 },
      { flags: '--max-length <tokens>', help: 'longest question; histories are cut to fit, record by record', default: 2048 },
      { flags: '--storage <form>', help: 'how weights are kept: f32, stored, int8, nf4 (default: as the adapter was trained, else nf4)' },
      threadsOption,
    ],
    schema,
    run: async ({ resolved, inferred, fusion, out, maxPairs, minGain, ...options }, { progress, log }) => {
      if (maxPairs === undefined && minGain === undefined) {
        throw new UserError(
          'cli.option',
          'cascade: no budget: say --max-pairs, --min-gain or both; each answer of a language model costs time',
        );
      }
      const opinion = readSecondOpinion(fusion);
      const budget = { maxPairs: maxPairs ?? Number.POSITIVE_INFINITY, minGain: minGain ?? 0 };
      // Beside the output, where a killed run finds what was answered.
      const asking = `${resolve(out)}.asking`;
      mkdirSync(asking, { recursive: true });
      const questionsFile = join(asking, 'questions.parquet');
      const answers = join(asking, 'answers.parquet');
      await using db = await Database.open({ memoryMb: 1000, threads: options.threads });
      const chosen = await chooseQuestions(db, { resolved, inferred, opinion, budget, out: questionsFile });
      log(
        `${thousands(chosen.pairs)} of ${thousands(chosen.candidates)} pairs of the gray zone are asked about; ${chosen.expectedGain.toFixed(1)} decisions put right are expected`,
      );
      const questions = await openQuestions(db, { files: [questionsFile] });
      try {
        const answering = await inferPairs(db, questions, { ...options, out: answers, progress, clock: Date.now });
        await writeFolder(
          out,
          { names: ['predictions.parquet', 'inference_metrics.json', 'answers.parquet'], inputs: [inferred] },
          async (place) => {
            await joinAnswers(db, { inferred, answers, opinion, out: place });
            await writeCascade(place, { chosen, opinion, budget, answering });
            copyFileSync(answers, join(place, 'answers.parquet'));
          },
        );
        rmSync(asking, { recursive: true });
        return {
          text: `${thousands(chosen.pairs)} pairs asked, ${answering.throughput} pairs/s; ${out}`,
          json: { ...chosen, ...answering },
        };
      } finally {
        questions.close();
      }
    },
  });
}
