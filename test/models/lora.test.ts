import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { type AdapterSettings, outerName, targetModules } from '../../src/models/adapter-settings.ts';
import { toFloat32 } from '../../src/models/expand.ts';
import { countParameters, newAdapter } from '../../src/models/lora.ts';
import { readConfig } from '../../src/models/read-config.ts';
import { storageOf } from '../../src/models/storage.ts';
import { adapterConfig } from '../../src/models/write-peft.ts';
import { largestDifference, logitsOf, runnable, tinyBatch, tinyFolder } from './tiny-models.ts';

const settings: AdapterSettings = {
  task: 'CAUSAL_LM',
  targets: 'all-linear',
  prefix: 'model',
  rank: 4,
  alpha: 8,
  dropout: 0,
  rsLora: false,
  dora: false,
};

type Case = {
  readonly config: Readonly<Record<string, unknown>>;
  readonly modules: Readonly<Record<string, readonly [rank: number, scale: number]>>;
  readonly trainable: number;
  readonly total: number;
};
/** What PEFT made of each of these settings (recipe.py beside the file). */
const cases: Readonly<Record<string, Case>> = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', 'oracle', 'llm', 'adapters', 'targets.json'), 'utf8'),
);
const given: Readonly<Record<string, Partial<AdapterSettings>>> = {
  'a list': { targets: ['q_proj', 'v_proj'] },
  'all linear layers': {},
  'all linear layers of a classifier': { task: 'SEQ_CLS' },
  'a pattern': { targets: '.*\\.layers\\.[02]\\.(self_attn\\.q_proj|mlp\\..*_proj)' },
  'a pattern of the whole name': { targets: 'model\\.layers\\.(?P<n>\\d)\\.self_attn\\.o_proj' },
  'ranks and alphas of some': {
    targets: ['q_proj', 'up_proj', 'down_proj'],
    rankPattern: { up_proj: 2, 'layers.1.self_attn.q_proj': 8, proj: 3 },
    alphaPattern: { 'model\\.layers\\.[01]\\.mlp\\.down_proj': 32 },
  },
  'rank-stabilised': { targets: ['gate_proj'], rsLora: true, rankPattern: { 'layers.2.*': 9 } },
  'some layers': { targets: ['k_proj', 'mlp.down_proj'], layers: [0, 2] },
  'some layers by pattern': { targets: ['k_proj'], layers: [1], layersPattern: ['layers'] },
  exceptions: { targets: ['q_proj', 'k_proj'], exclude: ['layers.1.self_attn.q_proj', 'layers.0.self_attn.k_proj'] },
  'exceptions by pattern': { targets: ['q_proj', 'k_proj'], exclude: '.*\\.0\\..*' },
  dora: { targets: ['q_proj', 'down_proj'], dora: true },
};

const small = readConfig({
  ...{ architectures: ['LlamaForCausalLM'], vocab_size: 64, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 3 },
  ...{ num_attention_heads: 4, num_key_value_heads: 2, tie_word_embeddings: false },
});

describe('which layers an adapter adapts, and how much it trains, as PEFT has it', () => {
  test.each(Object.keys(cases))('%s', (name) => {
    const asked = { ...settings, alpha: 6, ...given[name] };
    const { modules, trainable, total } = cases[name]!;
    const found = targetModules(small, asked);
    expect(Object.fromEntries(found.map(({ name, shape }) => [name, [shape.rank, shape.scale]]))).toEqual(modules);
    const counted = countParameters(small, { settings: asked, labels: 3 });
    // PEFT keeps the head that the trained one replaces, and counts both.
    expect(counted).toEqual({ trainable, total: asked.task === 'SEQ_CLS' ? total - 3 * 16 : total });
  });
});

describe('a new adapter', () => {
  test('changes nothing yet', async () => {
    const plain = await runnable(tinyFolder('gemma3'));
    const before = await logitsOf(plain, tinyBatch('gemma3'));
    for (const dora of [false, true]) {
      const model = await runnable(tinyFolder('gemma3'), {
        adapter: newAdapter(plain.resident, { settings: { ...settings, dora }, seed: 1 }),
      });
      expect(largestDifference(await logitsOf(model, tinyBatch('gemma3')), before)).toBeLessThan(1e-5);
      await model.close();
    }
    await plain.close();
  });

  test('has A uniform within 1 / sqrt(in) and B zero, the same for the same seed and module', async () => {
    const { resident } = await runnable(tinyFolder('llama'));
    const all = newAdapter(resident, { settings: { ...settings, rank: 64 }, seed: 3 });
    const some = newAdapter(resident, { settings: { ...settings, rank: 64, targets: ['down_proj'] }, seed: 3 });
    const other = newAdapter(resident, { settings: { ...settings, rank: 64 }, seed: 4 });
    const name = 'model.layers.2.mlp.down_proj';
    const { a, b } = all.modules.get(name)!;
    expect(some.modules.get(name)!.a).toEqual(a);
    expect(other.modules.get(name)!.a).not.toEqual(a);
    expect(all.modules.get('model.layers.3.mlp.down_proj')!.a).not.toEqual(a);
    expect(b.every((value) => value === 0)).toBe(true);
    const bound = 1 / Math.sqrt(32);
    expect(a.every((value) => Math.abs(value) <= bound)).toBe(true);
    const deviation = Math.sqrt(a.reduce((sum, value) => sum + value * value, 0) / a.length);
    expect(deviation).toBeCloseTo(bound / Math.sqrt(3), 2);
  });

  test('begins with the lengths of the rows of the weight as it is kept', async () => {
    const { resident } = await runnable(tinyFolder('llama'), { storage: storageOf('nf4') });
    const { magnitude } = newAdapter(resident, { settings: { ...settings, dora: true }, seed: 1 }).modules.get(
      'model.layers.0.self_attn.k_proj',
    )!;
    const weight = toFloat32(resident.layers[0]!.linears['self_attn.k_proj']);
    const third = Math.hypot(...weight.subarray(2 * 16, 3 * 16));
    expect(magnitude![2]).toBeCloseTo(third, 6);
  });

  test('takes the head of a base that has one of that size, else draws one', async () => {
    const { resident } = await runnable(tinyFolder('llama-class'));
    const asked = { settings: { ...settings, task: 'SEQ_CLS' as const }, seed: 1 };
    const score = (options: object) => newAdapter(resident, { ...asked, ...options }).saved.get('score.weight')!;
    expect(score({}).data).toEqual(resident.score!.data);
    expect(score({}).data).not.toBe(resident.score!.data);
    expect(score({ hasNewHead: true }).data).not.toEqual(resident.score!.data);
    const { shape, data } = score({ labels: 200 });
    expect(shape).toEqual([200, 16]);
    const deviation = Math.sqrt(data.reduce((sum, value) => sum + value * value, 0) / data.length);
    expect(deviation).toBeCloseTo(0.02, 3);
  });

  test.each<[string, Partial<AdapterSettings>, string]>([
    ['no such layer', { targets: ['q_proj', 'q_porj'] }, 'lora: target names no linear layer: q_porj; layers: q_proj, k_proj,'],
    ['a head', { targets: ['lm_head'] }, 'lora: target names no linear layer: lm_head;'],
    ['a pattern that fits nothing', { targets: '.*q_porj' }, 'lora: target names no linear layer: .*q_porj;'],
    ['a pattern that is none', { targets: '(' }, 'adapter: pattern cannot be read: (;'],
    ['rank 0', { rank: 0 }, 'lora: rank out of range: 0; give a whole number from 1'],
    ['alpha 0', { alpha: 0 }, 'lora: alpha out of range: 0; give a number above 0'],
    ['dropout 1', { dropout: 1 }, 'lora: dropout out of range: 1; give a share from 0, below 1'],
    ['a classifier of one class', { task: 'SEQ_CLS' }, 'lora: labels out of range: 1; give at least two classes'],
  ])('is refused for %s', (_, wrong, message) => {
    expect(() => countParameters(small, { settings: { ...settings, ...wrong }, labels: 1 })).toThrow(message);
  });

  test('takes a single name for a list of one', () => {
    const found = (targets: AdapterSettings['targets']) => targetModules(small, { ...settings, targets });
    expect(found('mlp.up_proj')).toEqual(found(['mlp.up_proj']));
    expect(found('mlp.up_proj')).toHaveLength(3);
    expect(adapterConfig({ ...settings, targets: 'q_proj' })['target_modules']).toEqual(['q_proj']);
  });

  test('goes by the names of the class of transformers that holds it', () => {
    expect(outerName('model.layers.0.mlp.up_proj', 'language_model.model')).toBe('language_model.model.layers.0.mlp.up_proj');
    const asked = { ...settings, prefix: 'model.language_model' as const, targets: 'model\\.language_model\\..*\\.q_proj' };
    expect(targetModules(small, asked).map(({ name }) => name)).toEqual([0, 1, 2].map((i) => `model.layers.${i}.self_attn.q_proj`));
  });
});
