// Stop texts in a text that comes piece by piece: what may be the beginning of one is held back until it is clear.
//
// Worked case: stop at "\n\n"; pieces "One", "\n", "two": "One" is given, the newline held back, then "\ntwo" given. With "\n" as the last
// piece the text is over and the newline is cut off.

export type StopTexts = {
  /** Takes the next piece; gives what may be shown, and whether a stop text has ended it all. */
  readonly push: (piece: string) => { readonly shown: string; readonly isOver: boolean };
  /** What was held back, when nothing more comes. */
  readonly end: () => string;
};

export function stopTexts(stops: readonly string[]): StopTexts {
  let held = '';
  return {
    push: (piece) => {
      held += piece;
      const at = Math.min(...stops.map((stop) => held.indexOf(stop)).filter((place) => place >= 0));
      if (Number.isFinite(at)) {
        const shown = held.slice(0, at);
        held = '';
        return { shown, isOver: true };
      }
      const kept = longestBeginning(held, stops);
      const shown = held.slice(0, held.length - kept);
      held = held.slice(held.length - kept);
      return { shown, isOver: false };
    },
    end: () => {
      const rest = held;
      held = '';
      return rest;
    },
  };
}

/** Letters at the end of a text that may begin a stop text. */
function longestBeginning(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops) {
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
      if (text.endsWith(stop.slice(0, length))) longest = length;
    }
  }
  return longest;
}
