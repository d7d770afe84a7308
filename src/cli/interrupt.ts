// Ctrl-C during work that can end well by itself: a training step is finished and saved first. A second Ctrl-C ends at once.

let graceful: AbortController | undefined;

/** From now on the first Ctrl-C only aborts the signal given here. */
export function finishOnInterrupt(): AbortSignal {
  graceful = new AbortController();
  return graceful.signal;
}

/** Whether the work at hand was asked to end by itself; not when it was already. */
export function askToFinish(): boolean {
  if (!graceful || graceful.signal.aborted) return false;
  graceful.abort();
  return true;
}
