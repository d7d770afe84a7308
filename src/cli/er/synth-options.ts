import { z } from 'zod';

import { readBlock } from '../../apps/entity-resolution/settings.ts';
import { UserError } from '../../base/errors.ts';
import { numberOption, threadsSchema } from '../option-schemas.ts';
import type { VerbOption } from '../verb.ts';

/** Options of the verbs that make data. Older scripts say `--input` and `--output`: still understood, no longer shown. */
export const folderOptions = (input: string, output: string): readonly VerbOption[] => [
  { flags: '--in <folder>', help: input },
  { flags: '--out <folder>', help: output },
  { flags: '--input <folder>', help: 'the same as --in', hidden: true },
  { flags: '--output <folder>', help: 'the same as --out', hidden: true },
];

export const configOption: VerbOption = { flags: '--config <file>', help: 'YAML settings, as a run_config.yaml; flags come on top' };

/** Settings from params.yaml, as the stages of dvc.yaml say them; they stand in place of the flags. */
export const blockOptions = (example: string): readonly VerbOption[] => [
  { flags: '--block <name>', help: `read the settings from this block of params.yaml (${example}), not from flags` },
  { flags: '--params <file>', help: 'the file that holds it (default: params.yaml of the working folder)' },
];
export const blockKeys = { block: z.string().min(1).optional(), params: z.string().min(1).optional() };

/**
 * Settings of the block that was named, if any; then no flag may say them too.
 *
 * @throws UserError `cli.option` where both speak, or a file is named and no block; `params.*`
 */
export function blockSettings<Kind extends 'generate' | 'augment'>(
  kind: Kind,
  { verb, block, params, flags }: { readonly verb: string; readonly flags: Readonly<Record<string, unknown>> } & BlockChoice,
): ReturnType<typeof readBlock<Kind>> | undefined {
  const [flag] = Object.keys(flags);
  if (block === undefined) {
    if (params === undefined) return undefined;
    throw new UserError('cli.option', `${verb}: --params without --block; name the block to read`);
  }
  if (flag === undefined) return readBlock(kind, block, params);
  throw new UserError('cli.option', `${verb}: --block and --${flag.replaceAll('_', '-')} both say it; leave one out`);
}

type BlockChoice = { readonly block: string | undefined; readonly params: string | undefined };

const folder = z.string().min(1).optional();
export const folderKeys = { in: folder, out: folder, input: folder, output: folder };
export const threadsKey = { threads: threadsSchema };
export const optionalNumber = numberOption.optional();

/** The two folders, whichever way they were named. */
export function folders(
  name: string,
  { in: from, input, out, output }: { readonly [Key in keyof typeof folderKeys]?: string | undefined },
): { readonly input: string; readonly output: string } {
  const given = { input: from ?? input, output: out ?? output };
  for (const [flag, value] of [
    ['--in', given.input],
    ['--out', given.output],
  ] as const) {
    if (value === undefined)
      throw new UserError('cli.option', `${name}: required option not given: ${flag} <folder>; see clinfuse er ${name} --help`);
  }
  return given as { input: string; output: string };
}

/** `{ threads }` when given, for options that may be absent but not undefined. */
export function maybeThreads(threads: number | undefined): { readonly threads?: number } {
  return threads === undefined ? {} : { threads };
}
