/** A text as one word of a POSIX shell, whatever it holds: `it's` becomes `'it'\\''s'`. */
export const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
