// Medical questions and answers as a data set to fine-tune on: `train.jsonl` and `validation.jsonl` of prompt and completion, as chats.
//
//   node bench/llm/medquad.ts FOLDER_OF_MEDQUAD OUT_FOLDER [--pairs N] [--validation N] [--seed N]
//
// FOLDER_OF_MEDQUAD holds the files `dataset_with_answers_SPECIALTY.json` ({question: answer}; MedQuAD, Ben Abacha and Demner-Fushman 2019,
// CC BY 4.0). All pairs of a question go to one side, whatever its case and spacing, and whatever specialty asks it; an
// answer that is trained on (a few stand under several questions) is not held out. Runs of spaces and
// line breaks, left over from XML, become one space; answers under 20 letters ("Topics") are left out.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { UserError } from '../../src/base/errors.ts';
import { writeFolder, writeText } from '../../src/base/files.ts';
import { random } from '../../src/base/random.ts';

type Pair = { readonly specialty: string; readonly question: string; readonly answer: string };

export type MedquadOptions = {
  /** Folder of the source files. */
  readonly source: string;
  readonly out: string;
  /** Most training pairs. */
  readonly pairs?: number;
  /** Most validation pairs. */
  readonly validation?: number;
  readonly validationShare?: number;
  readonly seed?: number;
};

/** Writes the data set and returns how many pairs each side has. */
export async function makeMedquad({ source, out, pairs, validation, validationShare = 0.1, seed = 42 }: MedquadOptions) {
  const questions = new Map<string, Pair[]>();
  for (const pair of readPairs(source)) {
    const key = pair.question.toLowerCase();
    questions.set(key, [...(questions.get(key) ?? []), pair]);
  }
  const order = random(seed, 'medquad').shuffle([...questions.values()]);
  const held = Math.round(order.length * validationShare);
  const train = order.slice(held).flat().slice(0, pairs);
  const seen = new Set(train.map(({ answer }) => answer));
  const unseen = order
    .slice(0, held)
    .flat()
    .filter(({ answer }) => !seen.has(answer));
  const sides = { train, validation: unseen.slice(0, validation) };
  await writeFolder(out, { names: ['train.jsonl', 'validation.jsonl'], inputs: [source] }, async (folder) => {
    for (const [side, rows] of Object.entries(sides)) await writeText(join(folder, `${side}.jsonl`), rows.map(line).join(''));
  });
  return { train: sides.train.length, validation: sides.validation.length, questions: order.length };
}

function readPairs(source: string): Pair[] {
  const files = existsSync(source)
    ? readdirSync(source)
        .filter((name) => /^dataset_with_answers_.*\.json$/.test(name))
        .sort()
    : [];
  if (files.length === 0)
    throw new UserError('bench.medquad', `medquad: no dataset_with_answers_*.json in ${source}; name the folder of MedQuAD`);
  const tidy = (text: string) => text.replace(/\s+/g, ' ').trim();
  return files.flatMap((file) => {
    const specialty = file.replace(/^dataset_with_answers_|\.json$/g, '');
    const answers = JSON.parse(readFileSync(join(source, file), 'utf8')) as Record<string, string>;
    return Object.entries(answers)
      .map(([question, answer]) => ({ specialty, question: tidy(question), answer: tidy(answer) }))
      .filter(({ answer }) => answer.length >= 20);
  });
}

function line({ specialty, question, answer }: Pair): string {
  const row = { prompt: [{ role: 'user', content: question }], completion: [{ role: 'assistant', content: answer }], specialty };
  return `${JSON.stringify(row)}\n`;
}

if (import.meta.main) {
  const number = { type: 'string' } as const;
  const { positionals, values } = parseArgs({ allowPositionals: true, options: { pairs: number, validation: number, seed: number } });
  const [source, out] = positionals;
  if (source === undefined || out === undefined) {
    console.error('medquad: usage: node bench/llm/medquad.ts FOLDER_OF_MEDQUAD OUT_FOLDER [--pairs N] [--validation N] [--seed N]');
    process.exit(2);
  }
  const counts = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)]));
  console.log(JSON.stringify(await makeMedquad({ source, out, ...counts })));
}
