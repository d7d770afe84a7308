// What a stage of dvc.yaml is once every template, loop and variable is resolved. Paths stay as the file writes them: relative to the
// stage's `workdir`, with `/`. That is also how dvc.lock names them.

/** What an output is for: any file, figures (`metrics:`), or series to draw (`plots:`). */
export type OutputRole = 'out' | 'metric' | 'plot';

export type Output = {
  readonly path: string;
  readonly role: OutputRole;
  /** Whether its content goes to the cache; figures often stay in git instead. */
  readonly cache: boolean;
  /** Left in place when the stage runs again. */
  readonly persist: boolean;
  readonly description?: string;
  /** `template`, `x`, `y`, `title`, ...: as written, for plots. */
  readonly plot?: Readonly<Record<string, unknown>>;
};

/** Parameters of one file that a stage depends on: dotted keys, or none for the whole file. */
export type TrackedParameters = { readonly file: string; readonly keys: readonly string[] };

export type Stage = {
  /** `train`; of a loop `train@small`, of a matrix `train@1-x`. */
  readonly name: string;
  /** Where the command runs and paths start: absolute. */
  readonly workdir: string;
  /** Commands, run in order until one fails. */
  readonly commands: readonly string[];
  /** Whether `cmd` was written as a list: dvc.lock keeps the form. */
  readonly commandsAsList: boolean;
  readonly dependencies: readonly string[];
  readonly parameters: readonly TrackedParameters[];
  readonly outputs: readonly Output[];
  /** Dependencies are not looked at. */
  readonly frozen: boolean;
  readonly alwaysChanged: boolean;
  readonly description?: string;
};

/** A dvc.yaml, read and resolved. */
export type Pipeline = {
  /** Folder of dvc.yaml: absolute. dvc.lock lies beside it. */
  readonly folder: string;
  /** In the order of the file, loops in the order of their items. */
  readonly stages: readonly Stage[];
  /** Top-level `metrics:`, `params:` and `plots:`, paths relative to `folder`; a plot may have a name instead of a path. */
  readonly metrics: readonly string[];
  readonly parameterFiles: readonly string[];
  readonly plots: readonly { readonly path: string; readonly plot: Readonly<Record<string, unknown>> }[];
};
