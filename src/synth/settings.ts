// What `generate`, `segment` and `inject-errors` can be told, as schemas: for params.yaml, for --config files and for flags.
// Keys are snake_case in files and camelCase in code; a key we do not know is refused, never ignored.

import { z } from 'zod';

/** Kinds of damage; the names are those used in configuration files. */
export const errorCategories = [
  'name_variation',
  'address_error',
  'date_variation',
  'ssn_error',
  'formatting_error',
  'missing_data',
  'gender_error',
  'document_error',
  'missing_whitespace',
] as const;
export type ErrorCategory = (typeof errorCategories)[number];

/** How two patients who are not the same are made to look alike. */
export const lookAlikeTypes = ['twin', 'parent_child', 'sibling'] as const;
export type LookAlikeType = (typeof lookAlikeTypes)[number];

const share = z.number().min(0, 'must be from 0 to 1').max(1, 'must be from 0 to 1');
const count = z.number().int('must be a whole number').min(1, 'must be 1 or more');
const seed = z.number().int('must be a whole number').min(0, 'must be 0 or more').max(Number.MAX_SAFE_INTEGER);

/** Weights that are a distribution: non-negative, sum 1 within 0.01. */
function sumsToOne(weights: Readonly<Record<string, number>>, context: z.RefinementCtx): void {
  const sum = Object.values(weights).reduce((total, weight) => total + weight, 0);
  if (sum < 0.99 - 1e-9 || sum > 1.01 + 1e-9) {
    context.addIssue({ code: 'custom', message: `weights must sum to 1, they sum to ${Number(sum.toFixed(4))}` });
  }
}

const weight = z.number().min(0, 'weight must not be negative');

function weightsOf<const Name extends string>(names: readonly Name[]) {
  return z
    .partialRecord(z.enum(names), weight)
    .superRefine((weights, context) => sumsToOne(weights as Readonly<Record<string, number>>, context));
}

/** Error weights, as an object or as JSON text (params.yaml of older runs holds the text). */
export const errorWeights = z.preprocess((value, context) => {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    context.addIssue({ code: 'custom', message: 'not JSON' });
    return z.NEVER;
  }
}, weightsOf(errorCategories));

const facilityCountWeights = z.record(z.string(), weight).superRefine((weights, context) => {
  const wrong = Object.keys(weights).find((key) => !/^[1-9][0-9]*$/.test(key));
  if (wrong !== undefined) context.addIssue({ code: 'custom', message: `a number of facilities must be 1 or more, not ${wrong}` });
  sumsToOne(weights, context);
});

const defaults = {
  facilityCountWeights: { 1: 0.4, 2: 0.3, 3: 0.15, 4: 0.1, 5: 0.05 },
  typeWeights: { twin: 0.4, parent_child: 0.3, sibling: 0.3 },
  errorWeights: {
    name_variation: 0.35,
    address_error: 0.05,
    date_variation: 0.15,
    ssn_error: 0.15,
    formatting_error: 0,
    missing_data: 0.3,
  },
} as const;

const segmentKeys = {
  assignment_seed: seed.default(99),
  num_facilities: count.default(5),
  facility_count_weights: facilityCountWeights.default(defaults.facilityCountWeights),
  primary_facility_weight: share.default(0.6),
  /** Look-alike pairs in percent of the patients; 0: use `confusable_pairs`. */
  confusable_pct: z.number().min(0, 'must be from 0 to 100').max(100, 'must be from 0 to 100').default(5),
  confusable_pairs: z.number().int('must be a whole number').min(0, 'must be 0 or more').default(0),
  confusable_type_weights: weightsOf(lookAlikeTypes).default(defaults.typeWeights),
};

const injectKeys = {
  error_seed: seed.default(99),
  /** Share of records that are damaged at all. */
  global_error_rate: share.default(1),
  /** Share of damaged records that get `min_errors` to `max_errors` attempts instead of one. */
  multiple_errors_probability: share.default(0.7),
  min_errors: count.default(8),
  max_errors: count.default(12),
  error_weights: errorWeights.default(defaults.errorWeights),
};

const segmentFile = z.strictObject(segmentKeys);
const injectFile = z.strictObject(injectKeys);

function checkSegment(
  file: Pick<z.output<typeof segmentFile>, 'num_facilities' | 'facility_count_weights'>,
  context: z.RefinementCtx,
): void {
  const most = Math.max(...Object.keys(file.facility_count_weights).map(Number));
  if (file.num_facilities < most) {
    const message = `fewer facilities (${file.num_facilities}) than the largest facility count (${most})`;
    context.addIssue({ code: 'custom', path: ['num_facilities'], message });
  }
}

function checkInject(file: Pick<z.output<typeof injectFile>, 'min_errors' | 'max_errors'>, context: z.RefinementCtx): void {
  if (file.min_errors <= file.max_errors) return;
  context.addIssue({
    code: 'custom',
    path: ['min_errors'],
    message: `min_errors (${file.min_errors}) above max_errors (${file.max_errors})`,
  });
}

const toSegment = (file: z.output<typeof segmentFile>) => ({
  seed: file.assignment_seed,
  facilities: file.num_facilities,
  facilityCountWeights: file.facility_count_weights as Readonly<Record<string, number>>,
  primaryShare: file.primary_facility_weight,
  confusablePercent: file.confusable_pct,
  confusablePairs: file.confusable_pairs,
  lookAlikeWeights: file.confusable_type_weights as Readonly<Partial<Record<LookAlikeType, number>>>,
});

const toInject = (file: z.output<typeof injectFile>) => ({
  seed: file.error_seed,
  errorRate: file.global_error_rate,
  manyProbability: file.multiple_errors_probability,
  minErrors: file.min_errors,
  maxErrors: file.max_errors,
  weights: file.error_weights as Readonly<Partial<Record<ErrorCategory, number>>>,
});

/** Settings of `generate`: how many living people, of which state, from which seed. */
export const generateSettings = z.strictObject({
  population: count.default(2500),
  seed: seed.default(67890),
  state: z.string().min(1).default('Massachusetts'),
});
export type GenerateSettings = z.output<typeof generateSettings>;

/** Settings of `segment`; the defaults are those of the evaluation run. */
export const segmentSettings = segmentFile.superRefine(checkSegment).transform(toSegment);
export type SegmentSettings = z.output<typeof segmentSettings>;

/** Settings of `inject-errors`; the defaults are those of the evaluation run. */
export const injectSettings = injectFile.superRefine(checkInject).transform(toInject);
export type InjectSettings = z.output<typeof injectSettings>;

/** One block that holds both, as `augment` and `augment_training` in params.yaml. */
export const augmentSettings = z
  .strictObject({ ...segmentKeys, ...injectKeys })
  .superRefine((file, context) => {
    checkSegment(file, context);
    checkInject(file, context);
  })
  .transform((file) => ({ segment: toSegment(file), inject: toInject(file) }));
