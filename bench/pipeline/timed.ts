/** Seconds that a call takes. */
export function timed(call: () => unknown): { readonly seconds: number } {
  const start = performance.now();
  call();
  return { seconds: (performance.now() - start) / 1000 };
}
