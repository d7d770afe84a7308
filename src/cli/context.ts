import { type Progress, silent } from '../base/progress.ts';
import { drawnProgress } from './progress.ts';

/** What every verb is run with: how it was asked to speak. */
export type CliContext = {
  /** One JSON object on stdout instead of the table; logs stay on stderr. */
  readonly json: boolean;
  readonly quiet: boolean;
  readonly progress: Progress;
  /** A line for the person watching; goes to stderr, silent under --quiet. */
  readonly log: (line: string) => void;
};

/** What a verb gives back: `text` is printed for people (left out where it is on the screen already), `json` for machines; `exitCode` where it is not 0 though all went as asked. */
export type VerbResult = { readonly text?: string; readonly json: unknown; readonly exitCode?: number };

export function createContext({ json = false, quiet = false }: { readonly json?: boolean; readonly quiet?: boolean }): CliContext {
  return {
    json,
    quiet,
    progress: quiet ? silent : drawnProgress(process.stderr),
    log: (line) => {
      if (!quiet) process.stderr.write(`${line}\n`);
    },
  };
}
