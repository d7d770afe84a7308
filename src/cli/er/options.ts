import { z } from 'zod';

import { type Parameters, readParameters } from '../../apps/entity-resolution/settings.ts';
import { UserError } from '../../base/errors.ts';
import { threadsSchema } from '../option-schemas.ts';
import type { VerbOption } from '../verb.ts';

/** Options that several verbs share, each with the schema that reads it. */
export const inOption: VerbOption = { flags: '--in <folder>', help: 'run folder (facilities/, metadata/)', required: true };
export const outOption: VerbOption = {
  flags: '--out <folder>',
  help: 'where to write; replaced whole when the command ends well',
  required: true,
};
export const paramsOption: VerbOption = {
  flags: '--params <file>',
  help: 'parameters (default: params.yaml of the working folder, if any)',
};
export const modelOption: VerbOption = {
  flags: '--model <name>',
  help: '"evidence" (comes with the package) or a model file',
  default: 'evidence',
};
export const demographicsOption: VerbOption = {
  flags: '--demographics <kind>',
  help: 'learned | em: demographic weights from the model, or unsupervised from this data alone',
};

export const folderSchema = z.string().min(1);
const paramsSchema = z.string().optional();
const demographicsSchema = z.enum(['learned', 'em']).optional();

/** What every stage of the job is told: where from, where to, with which parameters, on how many threads. */
export const stageShape = { in: folderSchema, out: folderSchema, params: paramsSchema, threads: threadsSchema };
/** What the stages that decide by a model are told besides. */
export const modelShape = { ...stageShape, model: z.string().min(1), demographics: demographicsSchema };

/** Parameters of the file, with what was said on the command line on top. */
export function chosenParameters({
  params,
  demographics,
}: {
  readonly params?: string | undefined;
  readonly demographics?: 'learned' | 'em' | undefined;
}): Parameters {
  const read = readParameters(params);
  if (read.resolve.auto_reject_probability > read.resolve.auto_match_probability) {
    throw new UserError('params.value', 'params: resolve.auto_reject_probability is above auto_match_probability; swap them');
  }
  return demographics ? { ...read, resolve: { ...read.resolve, demographics } } : read;
}
