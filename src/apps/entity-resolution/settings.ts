import { existsSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';

import { UserError } from '../../base/errors.ts';
import { nearest } from '../../base/text.ts';
import { augmentSettings, generateSettings } from '../../synth/settings.ts';

const probability = z.number().min(0).max(1);
/** A rule on clusters: `hard` never broken, `soft` broken only against strong evidence, `off` not looked at. */
const rule = z.enum(['hard', 'soft', 'off']);

export const resolveSettings = z.strictObject({
  /** Pairs the linkage gives at least this match probability become candidates. */
  predict_threshold: probability.default(0.0001),
  /** Candidates at or above it are matched without asking further. */
  auto_match_probability: probability.default(0.99),
  /** Candidates below it are left out of the gray zone that is written out as text. */
  auto_reject_probability: probability.default(0.0001),
  /** Whose demographic weight decides: the model learned from labelled data, or unsupervised EM alone. */
  demographics: z.enum(['learned', 'em']).default('learned'),
});

export const goldenRecordSettings = z.strictObject({
  /** A pair speaks for joining when its posterior passes this. */
  decision_probability: probability.default(0.5),
  /** A facility holds a patient once. Real registries break it now and then: then `soft`. */
  one_record_per_facility: rule.default('hard'),
  /** Records of different recorded gender are different people. */
  same_gender: rule.default('hard'),
  conflict_resolution: z.enum(['most_frequent', 'most_recent', 'least_errors', 'field_specific']).default('most_frequent'),
});

/** Of the training track; passed to its verbs by dvc.yaml. */
const trainEvidenceSettings = z.strictObject({ seed: z.int().min(0).default(42) });
const promoteEvidenceSettings = z.strictObject({ metric: z.string().min(1).default('f1') });
/** Options of `er llm` verbs by their names; passed on by dvc.yaml, and checked by those verbs. */
const verbOptions = z.record(z.string(), z.union([z.number(), z.string(), z.boolean()]));

const parameters = z.strictObject({
  generate: generateSettings.optional(),
  generate_training: generateSettings.optional(),
  augment: augmentSettings.optional(),
  augment_training: augmentSettings.optional(),
  train_evidence: trainEvidenceSettings.optional(),
  promote_evidence: promoteEvidenceSettings.optional(),
  prepare_dataset: verbOptions.optional(),
  questions: verbOptions.optional(),
  train: verbOptions.optional(),
  fit_cascade: verbOptions.optional(),
  cascade: verbOptions.optional(),
  resolve: resolveSettings.prefault({}),
  golden_records: goldenRecordSettings.prefault({}),
});

/** What `params.yaml` may say, with every default filled in. */
export type Parameters = z.infer<typeof parameters>;

/**
 * Reads `params.yaml`. Without a file name: the one in the working folder when there is one, else the defaults.
 *
 * @throws UserError `params.*` for a missing file, bad YAML, an unknown key (with the nearest known one) or a value out of range
 */
export function readParameters(file?: string): Parameters {
  const path = file ?? (existsSync('params.yaml') ? 'params.yaml' : undefined);
  if (path === undefined) return parameters.parse({});
  if (!existsSync(path)) throw new UserError('params.missing', `params: file not found: ${path}; name an existing YAML file`);
  let raw: unknown;
  try {
    raw = parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new UserError('params.yaml', `params: not valid YAML: ${path}: ${(cause as Error).message.split('\n')[0]}`, { cause });
  }
  const parsed = parameters.safeParse(raw ?? {});
  if (parsed.success) return parsed.data;
  throw new UserError('params.value', `params: ${path}: ${describe(parsed.error.issues[0]!)}`);
}

/**
 * One block of `params.yaml`, for the verbs that make populations: `generate`, `augment` or their training twins.
 *
 * @throws UserError `params.block` where the file has no such block or it is of another verb, and what `readParameters` may throw
 */
export function readBlock<Kind extends 'generate' | 'augment'>(kind: Kind, block: string, file?: string): NonNullable<Parameters[Kind]> {
  const known = [kind, `${kind}_training`];
  const settings = known.includes(block) ? readParameters(file)[block as Kind] : undefined;
  if (settings) return settings;
  throw new UserError(
    'params.block',
    `params: no block ${block} to read in ${file ?? 'params.yaml'}; name ${known.join(' or ')}, and write it there`,
  );
}

function describe(issue: z.core.$ZodIssue): string {
  const at = issue.path.map(String).join('.');
  if (issue.code !== 'unrecognized_keys') return `${at}: ${issue.message}`;
  const known = knownKeys(parameters, issue.path.map(String));
  const [key] = issue.keys;
  const near = nearest(key!, known);
  return `unknown key: ${[at, key].filter(Boolean).join('.')}; ${near ? `did you mean ${near}?` : `known: ${known.join(', ')}`}`;
}

/** Keys allowed at a place of the schema, through its optional and default wrappers. */
function knownKeys(schema: z.ZodType, path: readonly string[]): string[] {
  let at: z.ZodType | undefined = schema;
  for (const key of path) at = shapeOf(at)?.[key];
  return Object.keys(shapeOf(at) ?? {});
}

function shapeOf(schema: z.ZodType | undefined): Record<string, z.ZodType> | undefined {
  type Wrapped = { readonly shape?: Record<string, z.ZodType>; readonly def?: { readonly innerType?: Wrapped; readonly in?: Wrapped } };
  let inner = schema as unknown as Wrapped | undefined;
  while (inner && !inner.shape) inner = inner.def?.innerType ?? inner.def?.in;
  return inner?.shape;
}
