// One LoRA training step, AdamW included, in a process of its own so that its memory is its own. The same work as
// bench/peers/lora-step.py: cuts of the 4B and 8B shapes with random weights and a classification head, or SmolLM2 from its GGUF file.
//
// usage: node bench/llm/step.ts {gemma3|llama|smollm2} {exact|fast} [--layers N] [--tokens N] [--steps N] [--gguf FILE] [--storage f32|nf4]

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { random } from '../../src/base/random.ts';
import { tensor } from '../../src/graph/tensor.ts';
import type { AdapterSettings } from '../../src/models/adapter-settings.ts';
import type { Batch } from '../../src/models/batch.ts';
import type { ModelConfig } from '../../src/models/config.ts';
import { linearNames, linearSizes, normSizes } from '../../src/models/decoder-layer.ts';
import { openModel } from '../../src/models/folder.ts';
import { languageModel } from '../../src/models/language-model.ts';
import { newAdapter } from '../../src/models/lora.ts';
import { readConfig } from '../../src/models/read-config.ts';
import { loadResident, type Resident } from '../../src/models/resident.ts';
import { storageOf } from '../../src/models/storage.ts';
import type { StoredTensor } from '../../src/models/stored-tensor.ts';
import { formOf, weightTensors } from '../../src/models/weight.ts';
import { fineTune } from '../../src/training/fine-tune.ts';
import { clipFactor, gradientNorm, startAdamW, stepAdamW } from '../../src/training/optimizer.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    layers: { type: 'string', default: '2' },
    tokens: { type: 'string', default: '512' },
    steps: { type: 'string', default: '5' },
    rank: { type: 'string', default: '16' },
    gguf: { type: 'string' },
    storage: { type: 'string', default: 'f32' },
    kept: { type: 'string' },
    vocabulary: { type: 'string', default: '32000' },
  },
});
const [arch, precision] = positionals as [string, 'exact' | 'fast'];
const [layers, tokens, steps, rank] = [values.layers, values.tokens, values.steps, values.rank].map(Number) as [
  number,
  number,
  number,
  number,
];

const resident = arch === 'smollm2' ? await smollm2(values.gguf!) : await randomModel(shapeOf(arch, layers));
const isClass = arch !== 'smollm2';
const settings: AdapterSettings = {
  ...{ task: isClass ? 'SEQ_CLS' : 'CAUSAL_LM', targets: 'all-linear', rank, alpha: 2 * rank },
  ...{ dropout: 0, rsLora: false, dora: false, prefix: 'model' },
};
const adapter = newAdapter(resident, { settings, seed: 1, ...(isClass && { labels: 2 }) });
const model = languageModel(resident, { adapter, session: { threads: 2 } });
const trainable = fineTune(model, { seed: 1, precision, ...(values.kept !== undefined && { keptLayers: Number(values.kept) }) });
const optimizer = startAdamW(trainable.parameters);

const draw = random(2);
const ids = Int32Array.from({ length: tokens }, () => draw.integer(5, 31999));
const shared = { rows: 1, tokens, ids, lengths: Int32Array.of(tokens) };
const batch: Batch = isClass
  ? { kind: 'class', ...shared, labels: Int32Array.of(1) }
  : { kind: 'causal', ...shared, targets: ids.map((_, i) => ids[i + 1] ?? -100) };
const denominator = trainable.weightOf(batch);
const times: number[] = [];
let loss = 0;
for (let step = 0; step <= steps; step++) {
  const start = performance.now();
  loss = (await trainable.accumulate(batch, { denominator, step })).lossSum / denominator;
  const gradientFactor = clipFactor(gradientNorm(trainable.parameters), 1);
  stepAdamW(trainable.parameters, optimizer, { learningRate: 1e-4, weightDecay: 0.01, gradientFactor });
  times.push((performance.now() - start) / 1000);
}
const timed = times.slice(1).sort((a, b) => a - b);
// Not ru_maxrss, which starts at the parent's.
const peakMb = Number(/VmHWM:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;
console.log(JSON.stringify({ best_s: timed[0], median_s: timed[timed.length >> 1], peak_mb: peakMb, loss }));

async function smollm2(path: string): Promise<Resident> {
  const folder = await openModel(path);
  const loaded = await loadResident(folder, { storage: storageOf('f32') });
  await folder.close();
  return loaded;
}

function shapeOf(name: string, count: number): ModelConfig {
  const common = { vocab_size: Number(values.vocabulary), num_hidden_layers: count, pad_token_id: 0, id2label: { 0: 'no', 1: 'yes' } };
  return name === 'gemma3'
    ? readConfig({
        ...{ ...common, architectures: ['Gemma3TextForSequenceClassification'], model_type: 'gemma3_text', hidden_size: 2560 },
        ...{ intermediate_size: 10240, num_attention_heads: 8, num_key_value_heads: 4, head_dim: 256, sliding_window: 1024 },
      })
    : readConfig({
        ...{ ...common, architectures: ['LlamaForSequenceClassification'], model_type: 'llama', hidden_size: 4096 },
        ...{ intermediate_size: 14336, num_attention_heads: 32, num_key_value_heads: 8 },
      });
}

/** Weights of no meaning, made in the form they are to be kept in, one matrix at a time. */
async function randomModel(config: ModelConfig): Promise<Resident> {
  const tileDraw = random(3);
  const tile = Float32Array.from({ length: 1 << 20 }, () => (tileDraw.float() - 0.5) * 0.04);
  const dense = (shape: readonly number[]): StoredTensor & { readonly format: 'f32' } => {
    const data = new Float32Array(shape.reduce((count, side) => count * side, 1));
    for (let at = 0; at < data.length; at += tile.length) data.set(tile.subarray(0, data.length - at), at);
    return { format: 'f32', shape, data };
  };
  const ones = (size: number) => tensor('float32', [size], new Float32Array(size).fill(1));
  const sizes = linearSizes(config);
  const keep = storageOf(values.storage as 'f32' | 'nf4').linear!;
  const made = config.layers.map(() => {
    const linears = Object.fromEntries(
      linearNames.map((name) => [name, keep(dense(sizes[name]))]),
    ) as Resident['layers'][number]['linears'];
    const forms = Object.fromEntries(linearNames.map((name) => [name, formOf(linears[name])])) as Resident['layers'][number]['forms'];
    const tensors = Object.assign({}, ...linearNames.map((name) => weightTensors(name, linears[name])));
    for (const [name, size] of Object.entries(normSizes(config))) tensors[name] = ones(size);
    return { linears, forms, tensors };
  });
  const embedding = dense([config.vocabSize, config.hiddenSize]);
  return { config, embedding, layers: made, norm: ones(config.hiddenSize), head: embedding };
}
