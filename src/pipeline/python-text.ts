// Values as Python writes them: DVC puts them into commands (`--lr ${lr}`) and stage names with `str`, and so must we, or the command
// differs and the stage runs again.

/**
 * A float as Python's `repr` has it: the shortest digits that read back, with an exponent below 1e-4 and from 1e16 up.
 *
 * @example pythonFloat(1) // '1.0', and 0.00001 gives '1e-05', 1e16 '1e+16'
 */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [mantissa, power] = value.toExponential().split('e') as [string, string];
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  // JavaScript writes plain digits from 1e-6 to 1e21, which covers the rest.
  const plain = String(value);
  return plain.includes('.') ? plain : `${plain}.0`;
}

/** A scalar as Python's `str` has it: `None`, `True`, `1.0`. */
export function pythonText(value: null | boolean | number | bigint | string): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  return typeof value === 'number' ? pythonFloat(value) : String(value);
}

/** A word for the shell, in single quotes where it holds anything but letters, digits and `@%+=:,./-_`. */
export function shellQuote(text: string): string {
  if (text === '') return "''";
  return /[^\w@%+=:,./-]/.test(text) ? `'${text.replaceAll("'", `'"'"'`)}'` : text;
}
