// Ctrl-C during work that can end well by itself: a training step is finished and saved first, stages are stopped with all they started.
// A second Ctrl-C ends at once.

let graceful: { readonly controller: AbortController; readonly words: string } | undefined;

/** From now on the first Ctrl-C only aborts the signal given here; `words` say what is done then. */
export function finishOnInterrupt(words: string): AbortSignal {
  graceful = { controller: new AbortController(), words };
  return graceful.controller.signal;
}

/** Asks the work at hand to end by itself and says what it does; nothing when it was asked already, or cannot. */
export function askToFinish(): string | undefined {
  if (!graceful || graceful.controller.signal.aborted) return undefined;
  graceful.controller.abort();
  return graceful.words;
}
