/** Columns of text under their names; figures (`isNumber`) stand at the right of theirs. */
export function textTable(
  columns: readonly { readonly name: string; readonly isNumber?: boolean }[],
  rows: readonly (readonly string[])[],
): string {
  const widths = columns.map(({ name }, at) => Math.max(name.length, ...rows.map((row) => [...row[at]!].length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) =>
        columns[at]!.isNumber ? ' '.repeat(widths[at]! - [...cell].length) + cell : cell + ' '.repeat(widths[at]! - [...cell].length),
      )
      .join('  ')
      .trimEnd();
  return [line(columns.map(({ name }) => name)), ...rows.map(line)].join('\n');
}
