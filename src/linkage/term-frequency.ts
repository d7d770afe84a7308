import type { Encoder } from './encode.ts';

/**
 * Share of records that hold each value, by code, among the records that hold any: how much a shared value proves depends on how rare it is.
 */
export async function termFrequencies(encoder: Encoder, expression: string): Promise<Float64Array> {
  const { codes, valueCount } = await encoder.codes(expression);
  const share = new Float64Array(new SharedArrayBuffer(8 * Math.max(1, valueCount)));
  let present = 0;
  // By number: loops over values of an array take longer.
  for (let record = 0; record < codes.length; record++) {
    const code = codes[record]!;
    if (code < 0) continue;
    share[code]! += 1;
    present += 1;
  }
  for (let code = 0; code < valueCount; code++) share[code]! /= present;
  return share;
}
