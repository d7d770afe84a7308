/** One long step in progress: `advance` says how much more is done (and, in a few words, how it goes), `finish` that it ended. */
export type Step = { readonly advance: (amount: number, note?: string) => void; readonly finish: () => void };

/** Where long work says how far it is. The CLI draws bars or plain lines from it; a library caller passes its own or `silent`. */
export type Progress = {
  /** Begins a step. `total` in the step's own unit; without it the step shows only that it runs. */
  readonly step: (name: string, options?: { readonly total?: number; readonly unit?: string }) => Step;
};

export const silent: Progress = { step: () => ({ advance: () => {}, finish: () => {} }) };

/** Runs work as one named step and returns its result and how long it took. */
export async function timed<T>(
  progress: Progress,
  name: string,
  work: () => Promise<T> | T,
): Promise<{ readonly result: T; readonly seconds: number }> {
  const step = progress.step(name);
  const start = performance.now();
  try {
    return { result: await work(), seconds: (performance.now() - start) / 1000 };
  } finally {
    step.finish();
  }
}
