// The configuration file of `segment` and `inject-errors`: nested YAML, as run_config.yaml, which can be given back to either verb.

import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';

import { UserError } from '../base/errors.ts';

const anything = z.unknown();

const file = z.strictObject({
  facility_distribution: z
    .strictObject({
      num_facilities: anything.optional(),
      strategy: z.literal('chronological_switching', 'only chronological_switching is known').optional(),
      facility_count_weights: anything.optional(),
      primary_facility_weight: anything.optional(),
    })
    .optional(),
  confusable_groups: z.strictObject({ total_pairs: anything.optional(), type_weights: anything.optional() }).optional(),
  error_injection: z
    .strictObject({
      global_error_rate: anything.optional(),
      multiple_errors_probability: anything.optional(),
      min_errors: anything.optional(),
      max_errors: anything.optional(),
      error_type_weights: anything.optional(),
    })
    .optional(),
  /** For people only: where a run's input and output lay. */
  paths: z.record(z.string(), z.string()).optional(),
  random_seed: anything.optional(),
  validate_output: z.boolean().optional(),
});

export type ConfigFile = {
  /** Input for `segmentSettings`; keys not in the file are absent. */
  readonly segment: Readonly<Record<string, unknown>>;
  /** Input for `injectSettings`. */
  readonly inject: Readonly<Record<string, unknown>>;
  readonly validate: boolean;
};

/**
 * Reads a configuration file; its values are checked by the settings' own schemas.
 *
 * @throws UserError `config.missing`, `config.syntax`, `config.value` for a file that is not there, not YAML, or has a key we do not know
 */
export function readConfigFile(path: string): ConfigFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new UserError('config.missing', `config: cannot be read: ${path}; name a YAML file`, { cause });
  }
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch (cause) {
    const [line] = (cause as Error).message.split('\n');
    throw new UserError('config.syntax', `config: not YAML: ${path}: ${line}`, { cause });
  }
  const parsed = parseSettings(file, value, path);
  const { facility_distribution: places = {}, confusable_groups: pairs = {}, error_injection: errors = {} } = parsed;
  return {
    segment: present({
      assignment_seed: parsed.random_seed,
      num_facilities: places.num_facilities,
      facility_count_weights: places.facility_count_weights,
      primary_facility_weight: places.primary_facility_weight,
      // A number of pairs in the file stands in place of the default percentage.
      confusable_pct: pairs.total_pairs === undefined ? undefined : 0,
      confusable_pairs: pairs.total_pairs,
      confusable_type_weights: pairs.type_weights,
    }),
    inject: present({
      error_seed: parsed.random_seed,
      global_error_rate: errors.global_error_rate,
      multiple_errors_probability: errors.multiple_errors_probability,
      min_errors: errors.min_errors,
      max_errors: errors.max_errors,
      error_weights: errors.error_type_weights,
    }),
    validate: parsed.validate_output ?? true,
  };
}

/** Parses a value by a schema; the first fault becomes one line that names the key. */
export function parseSettings<T>(schema: z.ZodType<T>, value: unknown, source: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const words = issue.code === 'unrecognized_keys' ? `unknown key: ${issue.keys.join(', ')}` : issue.message;
  const key = issue.path.join('.');
  throw new UserError('config.value', `config: ${key ? `${key}: ` : ''}${words}; in ${source}`);
}

/** The object without its undefined values. */
export function present(object: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
