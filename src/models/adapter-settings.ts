// How a low-rank adapter is set up, and which linear layers that means: the rules of PEFT, so that a configuration means the same there.
//
//   targets      a list names layers by the end of their name (`q_proj`); a text is a pattern for the whole name, or one such end;
//                `all-linear` is every linear layer of the decoder, neither heads nor the vision part
//   patterns     rank and alpha of single layers: the first key that matches the end of the name as a pattern counts
//   layers       with a list of targets, only these layers
//
// Worked case: targets [q_proj, up_proj], layers [1], rank pattern {up_proj: 4}: rank 8 at model.layers.1.self_attn.q_proj and rank 4 at
// model.layers.1.mlp.up_proj.
// Source: PEFT 0.21, check_target_module_exists, get_pattern_key.

import { UserError } from '../base/errors.ts';
import type { ModelConfig } from './config.ts';
import { linearNames, linearSizes } from './decoder-layer.ts';
import type { AdapterShape } from './linear.ts';

/** Ends of names; or one pattern for whole names, or one end; or `all-linear`. */
export type Targets = readonly string[] | string;

export type AdapterSettings = {
  readonly task: 'CAUSAL_LM' | 'SEQ_CLS';
  readonly targets: Targets;
  readonly exclude?: readonly string[] | string;
  readonly rank: number;
  readonly alpha: number;
  readonly dropout: number;
  /** Scale alpha / sqrt(rank) in place of alpha / rank. */
  readonly rsLora: boolean;
  readonly dora: boolean;
  readonly rankPattern?: Readonly<Record<string, number>>;
  readonly alphaPattern?: Readonly<Record<string, number>>;
  readonly layers?: readonly number[];
  /** What stands before the layer's number in its name; any word where none is given. */
  readonly layersPattern?: readonly string[];
  /** What PEFT calls the decoder: other classes of transformers hold it elsewhere. */
  readonly prefix: DecoderPrefix;
  /** Where the base model came from, for loaders that fetch it. */
  readonly base?: string;
  readonly revision?: string;
};

/** In text models; in multimodal models since transformers 4.52; in older ones. */
export const decoderPrefixes = ['model', 'model.language_model', 'language_model.model'] as const;
export type DecoderPrefix = (typeof decoderPrefixes)[number];

/** Where the classes of transformers that load this model hold its decoder. */
export const prefixFor = ({ multimodal }: ModelConfig): DecoderPrefix => (multimodal ? 'model.language_model' : 'model');

/** A module's name as PEFT sees it. */
export const outerName = (name: string, prefix: DecoderPrefix): string => name.replace(/^model(?=\.layers\.)/, prefix);

export type TargetModule = { readonly name: string; readonly out: number; readonly inner: number; readonly shape: AdapterShape };

/** The linear layers of the decoder that these settings adapt, in the order they are applied. */
export function targetModules(config: ModelConfig, settings: AdapterSettings): readonly TargetModule[] {
  const sizes = linearSizes(config);
  const isTarget = targetTest(settings);
  return config.layers.flatMap((_, i) =>
    linearNames
      .map((linear) => ({ name: `model.layers.${i}.${linear}`, out: sizes[linear][0], inner: sizes[linear][1] }))
      .filter(({ name }) => isTarget(outerName(name, settings.prefix)))
      .map((module) => ({ ...module, shape: shapeFor(settings, outerName(module.name, settings.prefix)) })),
  );
}

/**
 * Whether a module is adapted, by its outer name.
 *
 * @throws UserError `adapter.pattern` for a pattern that cannot be read
 */
export function targetTest({ task, targets, exclude, layers, layersPattern }: AdapterSettings): (name: string) => boolean {
  const excluded = exclude === undefined ? () => false : namesTest(exclude);
  const names = asNames(targets);
  const named = isAllLinear(targets) ? (name: string) => /\.layers\.\d+\.(self_attn|mlp)\.\w+_proj$/.test(name) : namesTest(names);
  const number = layersPattern?.length
    ? layersPattern.map((pattern) => regex(pattern, ['^(?:|.*?\\.)(?:', ')\\.(\\d+)\\.']))
    : [/^.*?\.[^.]*\.(\d+)\./];
  const inLayer = (name: string): boolean => {
    if (!layers?.length || typeof names === 'string') return true;
    const found = number.map((pattern) => pattern.exec(name)?.[1]).find((digits) => digits !== undefined);
    return found !== undefined && layers.includes(Number(found));
  };
  // What is trained whole is not adapted as well.
  const isHead = (name: string) => task === 'SEQ_CLS' && /(^|\.)(score|classifier)(\.|$)/.test(name);
  return (name) => !excluded(name) && !isHead(name) && named(name) && inLayer(name);
}

/** Rank and scale of one module, by its outer name. */
export function shapeFor(settings: AdapterSettings, name: string): AdapterShape {
  const { rankPattern = {}, alphaPattern = {}, dropout, dora, rsLora } = settings;
  const rank = patternValue(rankPattern, name) ?? settings.rank;
  const alpha = patternValue(alphaPattern, name) ?? settings.alpha;
  return { rank, scale: alpha / (rsLora ? Math.sqrt(rank) : rank), dropout, dora };
}

export const isAllLinear = (targets: Targets): boolean => typeof targets === 'string' && targets.toLowerCase() === 'all-linear';

/** A text without any sign of a pattern is a name: as a pattern for the whole name PEFT would find nothing by it. */
export const asNames = (targets: Targets): Targets => (typeof targets === 'string' && /^[\w.]+$/.test(targets) ? [targets] : targets);

function namesTest(names: readonly string[] | string): (name: string) => boolean {
  if (typeof names === 'string') {
    const pattern = regex(names, ['^(?:', ')$']);
    return (name) => pattern.test(name);
  }
  return (name) => names.some((end) => name === end || name.endsWith(`.${end}`));
}

function patternValue(values: Readonly<Record<string, number>>, name: string): number | undefined {
  return Object.entries(values).find(([pattern]) => regex(pattern, ['^(?:.*\\.)?(?:', ')$']).test(name))?.[1];
}

/** Python's patterns are JavaScript's but for the spelling of named groups and of the end; `before` and `after` are put around it. */
function regex(pattern: string, [before, after]: readonly [string, string]): RegExp {
  try {
    return new RegExp(`${before}${pattern.replaceAll('(?P<', '(?<').replaceAll('\\Z', '$')}${after}`);
  } catch (cause) {
    throw new UserError('adapter.pattern', `adapter: pattern cannot be read: ${pattern}; check the target modules`, { cause });
  }
}
