import { inflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';

import { fontFaceCss, renderPng } from '../../src/charts/render.ts';
import { textWidth } from '../../src/charts/text-width.ts';

const svg = (inner: string) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="300" height="30"><rect width="300" height="30" fill="#fff"/>${inner}</svg>`;
const text = (content: string, attributes = '') =>
  svg(`<text x="10" y="20" font-family="Inter, sans-serif" font-size="14" ${attributes}>${content}</text>`);

const drawn = (source: string) => renderPng(source, { scale: 1 });

describe('drawing', () => {
  test('text is drawn without any font installed: only the bundled one is asked for', async () => {
    const [blank, words, bold] = [
      await drawn(svg('')),
      await drawn(text('Golden records')),
      await drawn(text('Golden records', 'font-weight="600"')),
    ];
    expect(words.length).toBeGreaterThan(blank.length + 500);
    expect(Buffer.compare(words, bold)).not.toBe(0);
  });

  test('signs that the charts use have glyphs of their own', async () => {
    const pictures = await Promise.all([...'−–’≥é±'].map(async (sign) => Buffer.from(await drawn(text(sign))).toString('base64')));
    const missing = Buffer.from(await drawn(text('\u{4e2d}'))).toString('base64');
    expect(new Set(pictures).size).toBe(pictures.length);
    expect(pictures).not.toContain(missing);
  });

  test('scale multiplies the pixels', async () => {
    const size = (png: Uint8Array) => [Buffer.from(png).readUInt32BE(16), Buffer.from(png).readUInt32BE(20)];
    expect(size(await renderPng(svg(''), { scale: 3 }))).toEqual([900, 90]);
  });

  test('text is measured as wide as it is drawn', async () => {
    const phrase = 'share that were the same patient';
    const { right } = await inkSpan(text(phrase));
    expect(10 + textWidth(phrase, 14)).toBeGreaterThan(right - 3);
    expect(10 + textWidth(phrase, 14)).toBeLessThan(right + 4);
    expect(textWidth('bold', 12, true)).toBeGreaterThan(textWidth('bold', 12));
  });

  test('pages get the font inside', () => {
    expect(fontFaceCss().match(/font\/woff2;base64,/g)).toHaveLength(2);
  });
});

/** First and last column with ink, from the PNG's own pixels. */
async function inkSpan(source: string): Promise<{ left: number; right: number }> {
  const png = Buffer.from(await drawn(source));
  const parts: Buffer[] = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT') parts.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
  }
  const [width, height, depth] = [png.readUInt32BE(16), png.readUInt32BE(20), 4];
  const raw = inflateSync(Buffer.concat(parts));
  const stride = width * depth;
  const pixels = Buffer.alloc(height * stride);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)]!;
    for (let x = 0; x < stride; x++) {
      const left = x >= depth ? pixels[y * stride + x - depth]! : 0;
      const up = y > 0 ? pixels[(y - 1) * stride + x]! : 0;
      const corner = x >= depth && y > 0 ? pixels[(y - 1) * stride + x - depth]! : 0;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter]!;
      pixels[y * stride + x] = (raw[y * (stride + 1) + 1 + x]! + guess) & 255;
    }
  }
  const inked = Array.from({ length: width }, (_, x) => x).filter((x) =>
    Array.from({ length: height }, (_, y) => pixels[y * stride + x * depth]!).some((red) => red < 128),
  );
  return { left: inked[0]!, right: inked.at(-1)! };
}

function paeth(a: number, b: number, c: number): number {
  const [da, db, dc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
  return da <= db && da <= dc ? a : db <= dc ? b : c;
}
