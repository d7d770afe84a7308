// Half precision and bfloat16 as their 16 bits, to and from float32.
//
// IEEE half: 1 sign, 5 exponent (bias 15), 10 fraction bits. bfloat16: the upper 16 bits of a float32. Both roundings are to nearest,
// ties to even, as PyTorch and numpy do it. From half a table of all 65,536 values is looked up; to half the float's exponent decides
// between overflow, a normal number (drop 13 bits) and a subnormal one (let the float unit round by adding a power of two).
// Worked case: 1 + 2^-11 lies between the halves 1 and 1 + 2^-10 and goes to the even one, 1 (0x3c00).

const one = new Float32Array(1);
const bits = new Uint32Array(one.buffer);
let halves: Float32Array | undefined;

/** All halves by their bits. */
export function halfTable(): Float32Array {
  if (halves) return halves;
  halves = new Float32Array(65536);
  for (let i = 0; i < 65536; i++) {
    const exponent = (i >> 10) & 31;
    const fraction = i & 1023;
    const size =
      exponent === 0
        ? fraction * 2 ** -24
        : exponent === 31
          ? fraction === 0
            ? Number.POSITIVE_INFINITY
            : Number.NaN
          : (1 + fraction / 1024) * 2 ** (exponent - 15);
    halves[i] = i & 0x8000 ? -size : size;
  }
  return halves;
}

/** IEEE half to float32; exact. */
export function fromHalf(source: Uint16Array, target = new Float32Array(source.length)): Float32Array {
  const table = halfTable();
  for (let i = 0; i < source.length; i++) target[i] = table[source[i]!]!;
  return target;
}

/** bfloat16 to float32; exact. */
export function fromBfloat16(source: Uint16Array, target = new Float32Array(source.length)): Float32Array {
  const words = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < source.length; i++) words[i] = source[i]! << 16;
  return target;
}

/** float32 to IEEE half, to nearest even; beyond 65,519 infinite. */
export function toHalf(source: Float32Array): Uint16Array {
  const words = new Uint32Array(source.buffer, source.byteOffset, source.length);
  const target = new Uint16Array(source.length);
  for (let i = 0; i < words.length; i++) {
    const sign = (words[i]! >>> 16) & 0x8000;
    const size = words[i]! & 0x7fffffff;
    if (size > 0x7f800000) target[i] = sign | 0x7e00;
    else if (size >= 0x477ff000) target[i] = sign | 0x7c00;
    else if (size >= 0x38800000) target[i] = sign | ((size - 0x38000000 + 0xfff + ((size >>> 13) & 1)) >>> 13);
    else {
      // Below 2^-14: at 0.5 a float's last bit is worth 2^-24, a subnormal half's step, so the sum's fraction is the half.
      bits[0] = size;
      one[0] = one[0]! + 0.5;
      target[i] = sign | (bits[0] - 0x3f000000);
    }
  }
  return target;
}

/** float32 to bfloat16, to nearest even. */
export function toBfloat16(source: Float32Array): Uint16Array {
  const words = new Uint32Array(source.buffer, source.byteOffset, source.length);
  const target = new Uint16Array(source.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    target[i] = (word & 0x7fffffff) > 0x7f800000 ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return target;
}

/** A number as the nearest float16 or bfloat16, or float32. */
export function roundTo(precision: 'f32' | 'f16' | 'bf16', value: number): number {
  const single = Float32Array.of(value);
  if (precision === 'f16') return fromHalf(toHalf(single))[0]!;
  return precision === 'bf16' ? fromBfloat16(toBfloat16(single))[0]! : single[0]!;
}
