// One stage as dvc.lock (schema 2.0) records it: what it was run with, what it read and what it wrote.

/**
 * A value of a parameter: whatever YAML, JSON or TOML can hold. An integer is a bigint and a float a number, so that `1` and `1.0` stay
 * apart; a map is a Map, so that its order and keys that are not text (`0: benign`) stay as written.
 */
export type ParameterValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly ParameterValue[]
  | ReadonlyMap<ParameterKey, ParameterValue>;

export type ParameterKey = null | boolean | number | bigint | string;

/** Content of a file or folder, as DVC names it. */
export type Fingerprint = {
  /** MD5 in hex; of a folder, of its manifest, with `.dir` at the end. */
  readonly md5: string;
  /** Bytes; of a folder, of all files in it. */
  readonly size: number;
  /** Files of a folder. */
  readonly fileCount?: number;
  /** Whether anyone may execute the file; left out when not. */
  readonly isExecutable?: true;
};

/** A dependency or an output with its content. */
export type LockedPath = Fingerprint & { readonly path: string };

export type LockEntry = {
  /** Text, or a list where dvc.yaml has a list. */
  readonly command: string | readonly string[];
  readonly dependencies: readonly LockedPath[];
  /** File to dotted key to value; a file tracked whole has its top-level keys. */
  readonly parameters: Readonly<Record<string, Readonly<Record<string, ParameterValue>>>>;
  readonly outputs: readonly LockedPath[];
};
