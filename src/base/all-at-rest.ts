/** What all promises give, or the first fault, told when none is under way any more: whoever hears of it may clean up what they worked with. */
export async function allAtRest<const T extends readonly Promise<unknown>[]>(
  promises: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}
