// The shape of dvc.yaml, checked before anything in it is resolved: every key is known, or refused by name; what DVC has and this runner
// has not is refused with what to do instead. Source: DVC, dvc/schema.py.

import { UserError } from '../base/errors.ts';
import { nearest } from '../base/text.ts';
import type { ParameterValue } from './lock-entry.ts';
import { isList, isMapping } from './values.ts';

/** Refuses a value that does not fit; `at` says where it stands: `dvc.yaml: stages.train.deps`. */
type Shape = (value: ParameterValue, at: string) => void;

const anything: Shape = () => {};

const text: Shape = (value, at) => {
  if (typeof value !== 'string') throw misfit('text', value, at);
};

const flag: Shape = (value, at) => {
  if (typeof value !== 'boolean') throw misfit('true or false', value, at);
};

const list =
  (one: Shape): Shape =>
  (value, at) => {
    if (!isList(value)) throw misfit('a list', value, at);
    value.forEach((element, index) => {
      one(element, `${at}[${index}]`);
    });
  };

/** A map with names of the user's own. */
const named =
  (one: Shape): Shape =>
  (value, at) => {
    if (!isMapping(value)) throw misfit('a map', value, at);
    for (const [name, element] of value) {
      text(name, `${at} (key)`);
      one(element, within(at, String(name)));
    }
  };

/** A map with keys that are ours. */
const record =
  (fields: Readonly<Record<string, Shape>>, required: readonly string[] = []): Shape =>
  (value, at) => {
    if (!isMapping(value)) throw misfit('a map', value, at);
    for (const [key, element] of value) {
      const shape = typeof key === 'string' && Object.hasOwn(fields, key) ? fields[key] : undefined;
      if (!shape) {
        const near = nearest(String(key), Object.keys(fields));
        throw new UserError(
          'pipeline.schema',
          `pipeline: unknown key: ${String(key)} in ${shown(at)}${near ? `; did you mean ${near}?` : ''}`,
        );
      }
      shape(element, within(at, key as string));
    }
    const missing = required.find((key) => !value.has(key));
    if (missing) throw new UserError('pipeline.schema', `pipeline: key missing: ${missing} in ${shown(at)}`);
  };

/** The first shape for text, the second for everything else. */
const textOr =
  (other: Shape): Shape =>
  (value, at) => {
    if (typeof value !== 'string') other(value, at);
  };

const unsupported =
  (what: string, hint: string): Shape =>
  (_value, at) => {
    throw new UserError('pipeline.unsupported', `pipeline: not supported: ${what}: ${shown(at)}; ${hint}`);
  };

const command: Shape = (value, at) => {
  if (isList(value)) list(text)(value, at);
  else text(value, at);
};

const output = {
  cache: flag,
  persist: flag,
  remote: text,
  push: flag,
  desc: text,
  type: text,
  labels: list(text),
  meta: anything,
  checkpoint: unsupported('checkpoint', 'leave it out, DVC 3 has none either'),
};

const plot = { template: text, x: text, y: text, x_label: text, y_label: text, title: text, header: flag };

const outputs = (flags: Readonly<Record<string, Shape>>): Shape => list(textOr(named(record(flags))));

const keysOfFile: Shape = (value, at) => {
  if (value !== null) list(text)(value, at);
};

const vars: Shape = list(textOr(named(anything)));

const stageFields: Readonly<Record<string, Shape>> = {
  cmd: command,
  wdir: text,
  deps: list(text),
  params: list(textOr(named(keysOfFile))),
  vars,
  outs: outputs(output),
  metrics: outputs(output),
  plots: outputs({ ...output, ...plot }),
  frozen: flag,
  always_changed: flag,
  desc: text,
  meta: anything,
};

const matrix: Shape = named(textOr(list(anything)));

const loopOver: Shape = textOr((value, at) => {
  if (!isList(value) && !isMapping(value)) throw misfit('a list or a map', value, at);
});

const loopFields = record({ foreach: loopOver, do: record(stageFields, ['cmd']) }, ['foreach', 'do']);

const loop: Shape = (value, at) => {
  if (isMapping(value) && !value.has('do')) {
    throw new UserError('pipeline.schema', `pipeline: key missing: do in ${shown(at)}; it holds the stage that foreach repeats`);
  }
  loopFields(value, at);
};

const stage: Shape = (value, at) => {
  const isLoop = isMapping(value) && (value.has('foreach') || value.has('do'));
  if (isLoop) loop(value, at);
  else record({ ...stageFields, matrix }, ['cmd'])(value, at);
};

const stages: Shape = (value, at) => {
  if (value === null) return;
  named(stage)(value, at);
  if (!isMapping(value)) return;
  const odd = [...value.keys()].find((name) => String(name).includes('@'));
  if (odd !== undefined)
    throw new UserError('pipeline.schema', `pipeline: @ in the name of a stage: ${String(odd)} in ${shown(at)}; it is for stages of loops`);
};

const oneOrMore: Shape = textOr(list(text));

const pageOfPlots = record({
  x: textOr(named(text)),
  y: (value, at) => (isMapping(value) ? named(oneOrMore) : oneOrMore)(value, at),
  x_label: text,
  y_label: text,
  title: text,
  template: text,
});

const pipeline = record({
  stages,
  vars,
  params: list(text),
  metrics: list(text),
  plots: list(
    textOr(
      named((value, at) => {
        if (value !== null) pageOfPlots(value, at);
      }),
    ),
  ),
  artifacts: unsupported('artifacts', 'leave them out'),
  datasets: unsupported('datasets', 'name files in deps'),
});

/**
 * Checks the values of a dvc.yaml.
 *
 * @throws UserError `pipeline.schema` for what is wrong, `pipeline.unsupported` for what DVC has and we have not
 */
export function checkSchema(content: ParameterValue, file: string): void {
  pipeline(content, `${file}:`);
}

/** `dvc.yaml:` and `stages`, then `a`: `dvc.yaml: stages.a`. */
const within = (at: string, key: string): string => (at.endsWith(':') ? `${at} ${key}` : `${at}.${key}`);

const shown = (at: string): string => at.replace(/:$/, '');

function misfit(wanted: string, value: ParameterValue, at: string): UserError {
  const got =
    value === null
      ? 'nothing'
      : isList(value)
        ? 'a list'
        : isMapping(value)
          ? 'a map'
          : typeof value === 'string'
            ? `text (${value})`
            : String(value);
  return new UserError('pipeline.schema', `pipeline: ${wanted} expected: ${shown(at)}; got ${got}`);
}
