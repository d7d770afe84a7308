// HTML from values: whatever stands in ${} is escaped, unless it is itself made here.

/** HTML that is safe to insert as it is. */
export type Html = { readonly html: string };

type Part = string | number | Html | undefined | false | readonly Html[];

/** Template tag: html`<p>${name}</p>` escapes `name`; nested html and lists of it are inserted; undefined and false are nothing. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return { html: strings.reduce((text, string, i) => text + string + (i < parts.length ? insert(parts[i]) : ''), '') };
}

/** Text that is already HTML, such as an SVG we drew. */
export function trusted(text: string): Html {
  return { html: text };
}

function insert(part: Part): string {
  if (part === undefined || part === false) return '';
  if (typeof part === 'string' || typeof part === 'number') return escapeText(String(part));
  if ('html' in part) return part.html;
  return part.map((one) => one.html).join('');
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
