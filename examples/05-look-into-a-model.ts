// Look into a language model: what it is, from its headers alone, and what one of its matrices loses in four bits.

import { join } from 'node:path';

import { modelInfo, openModel, quantizeNf4, toFloat32 } from '../src/index.ts';

// Six layers of random numbers in the shape of a Llama; any Hugging Face folder or .gguf file will do.
const path = join(import.meta.dirname, '..', 'test', 'oracle', 'llm', 'models', 'llama');

const found = await modelInfo(path);
if (found.kind === 'model') {
  console.log(
    `${found.family}, ${found.parameters.total} parameters, ${found.layers.count} layers, context of ${found.contextLength} tokens`,
  );
  for (const { name, count } of found.parameters.parts) console.log(`  ${name}: ${count}`);
  for (const { use, bytes } of found.memory) console.log(`about ${Math.round(bytes / 1e6)} MB ${use}`);
}

const model = await openModel(path);
for (const name of ['model.layers.0.self_attn.q_proj.weight', 'model.layers.5.mlp.down_proj.weight']) {
  const { shape } = model.tensors.get(name)!;
  const exact = toFloat32(await model.read(name));
  const packed = quantizeNf4(exact, { shape });
  const rounded = toFloat32(packed);
  const squares = (values: Float32Array) => values.reduce((sum, value) => sum + value * value, 0);
  const lost = Math.sqrt(squares(exact.map((value, i) => value - rounded[i]!)) / squares(exact));
  const bytes = packed.packed.byteLength + packed.absmax.byteLength;
  console.log(`${name} [${shape.join(' x ')}]: ${exact.byteLength} bytes, in nf4 ${bytes}, relative error ${(100 * lost).toFixed(1)} %`);
}
await model.close();
