import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import type { AdapterSettings } from '../../src/models/adapter-settings.ts';
import { openModel } from '../../src/models/folder.ts';
import { toBfloat16, toHalf } from '../../src/models/half.ts';
import { readAdapter } from '../../src/models/peft.ts';
import { readConfig } from '../../src/models/read-config.ts';
import { openSafetensors } from '../../src/models/safetensors.ts';
import { adapterConfig, writeAdapter } from '../../src/models/write-peft.ts';
import { writeSafetensors } from '../../src/models/write-safetensors.ts';
import { readAll, type TinyName, tinyFolder, tinyNames } from './tiny-models.ts';

const scratch = mkdtempSync(join(tmpdir(), 'clinfuse-peft-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const oracle = resolve(import.meta.dirname, '..', 'oracle', 'llm', 'adapters');

const baseOf = async (name: TinyName) => {
  const folder = await openModel(tinyFolder(name));
  await folder.close();
  return { path: `models/${name}`, config: folder.config };
};
const readTiny = async (name: TinyName) => readAdapter(join(tinyFolder(name), 'adapter'), { base: await baseOf(name) });
const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));

/** A tiny model's adapter with its configuration changed. */
function changed(name: TinyName, config: Readonly<Record<string, unknown>>): string {
  const folder = mkdtempSync(join(scratch, 'changed-'));
  cpSync(join(tinyFolder(name), 'adapter'), folder, { recursive: true });
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify({ ...json(join(folder, 'adapter_config.json')), ...config }));
  return folder;
}

describe('an adapter folder', () => {
  test.each(tinyNames)('of PEFT for %s is written again with its tensors to the bit and its settings', async (name) => {
    const theirs = join(tinyFolder(name), 'adapter');
    const ours = join(scratch, `again-${name}`);
    await writeAdapter(ours, await readTiny(name));
    expect(await readAll(join(ours, 'adapter_model.safetensors'))).toEqual(await readAll(join(theirs, 'adapter_model.safetensors')));
    expectSameConfig(json(join(ours, 'adapter_config.json')), json(join(theirs, 'adapter_config.json')));
  });

  test('has the keys sorted, the format named, and nothing else beside it', async () => {
    const folder = join(scratch, 'bytes');
    await writeAdapter(folder, await readTiny('llama'));
    expect(readdirSync(folder).sort()).toEqual(['README.md', 'adapter_config.json', 'adapter_model.safetensors']);
    const config = readFileSync(join(folder, 'adapter_config.json'), 'utf8');
    expect(config.startsWith('{\n  "alpha_pattern": {},\n')).toBe(true);
    expect(Object.keys(JSON.parse(config))).toEqual(Object.keys(JSON.parse(config)).sort());
    expect(readFileSync(join(folder, 'adapter_model.safetensors')).subarray(8, 200).toString()).toContain('"__metadata__":{"format":"pt"}');
  });

  test('keeps what the format has no place for: names of classes, and how the base was kept', async () => {
    const folder = join(scratch, 'notes');
    await writeAdapter(folder, { ...(await readTiny('llama-class')), labels: ['yes', 'no', 'maybe'], trainedOn: 'nf4' });
    const { labels, trainedOn } = await readAdapter(folder, { base: await baseOf('llama-class') });
    expect({ labels, trainedOn }).toEqual({ labels: ['yes', 'no', 'maybe'], trainedOn: 'nf4' });
  });

  test.each(['F16', 'BF16'] as const)('in %s is read', async (type) => {
    const folder = changed('llama', {});
    const theirs = await readAll(join(folder, 'adapter_model.safetensors'));
    const file = await openSafetensors(join(folder, 'adapter_model.safetensors'));
    const half = type === 'F16' ? toHalf : toBfloat16;
    const entries = [...file.tensors].map(([name, { shape }]) => ({
      entries: [{ name, type, shape }],
      read: () => [half(theirs.get(name)!)],
    }));
    await file.close();
    await writeSafetensors(join(folder, 'adapter_model.safetensors'), entries);
    const { adapter } = await readAdapter(folder, { base: await baseOf('llama') });
    const name = 'model.layers.0.mlp.up_proj';
    const whole = theirs.get(`base_model.model.${name}.lora_A.weight`)!;
    expect(adapter.modules.get(name)!.a[5]).toBeCloseTo(whole[5]!, type === 'F16' ? 4 : 3);
  });

  test('of a multimodal model: the decoder is read, the vision part set aside by name', async () => {
    const config = readConfig({
      ...{ architectures: ['Gemma3ForConditionalGeneration'], model_type: 'gemma3' },
      text_config: {
        ...{ vocab_size: 64, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 2, num_attention_heads: 4, num_key_value_heads: 2 },
        ...{ head_dim: 8, sliding_window: 5, query_pre_attn_scalar: 8, layer_types: ['sliding_attention', 'full_attention'] },
      },
    });
    const found = await readAdapter(join(oracle, 'multimodal'), { base: { path: 'gemma', config } });
    expect([...found.adapter.modules.keys()]).toHaveLength(14);
    expect(found.settings.prefix).toBe('model.language_model');
    expect(found.skipped).toHaveLength(18);
    expect(found.skipped[0]).toMatch(/vision_tower/);
    const again = join(scratch, 'multimodal');
    await writeAdapter(again, found);
    const theirs = await readAll(join(oracle, 'multimodal', 'adapter_model.safetensors'));
    for (const [key, values] of await readAll(join(again, 'adapter_model.safetensors'))) expect(theirs.get(key)).toEqual(values);
    const settings: AdapterSettings = { ...found.settings, targets: 'all-linear' };
    const pattern = new RegExp(`^(?:${adapterConfig(settings)['target_modules']})$`);
    expect(pattern.test('model.language_model.layers.1.self_attn.q_proj')).toBe(true);
    expect(pattern.test('model.vision_tower.encoder.layers.0.self_attn.q_proj')).toBe(false);
  });
});

/** What PEFT assumes where a key is not given. */
const defaults: Readonly<Record<string, unknown>> = {
  ...{ loftq_config: {}, ensure_weight_tying: false, lora_bias: false, megatron_core: 'megatron.core', qalora_group_size: 16 },
  ...{ use_qalora: false, peft_version: '0.21.2' },
};

function expectSameConfig(ours: Record<string, unknown>, theirs: Record<string, unknown>): void {
  const sorted = (value: unknown) => (Array.isArray(value) ? value.toSorted() : value);
  for (const [key, value] of Object.entries(theirs)) {
    expect([key, sorted(key in ours ? ours[key] : (defaults[key] ?? null))]).toEqual([key, sorted(value)]);
  }
  expect(Object.keys(ours).filter((key) => !(key in theirs))).toEqual([]);
}

describe('settings written for PEFT', () => {
  const settings: AdapterSettings = {
    ...{ task: 'CAUSAL_LM', prefix: 'model', rank: 4, alpha: 6, dropout: 0, rsLora: false, dora: false },
    targets: ['q_proj', 'v_proj'],
  };
  const cases: Readonly<Record<string, Partial<AdapterSettings>>> = {
    'a list': {},
    'ranks and alphas of some': {
      targets: ['q_proj', 'up_proj', 'down_proj'],
      rankPattern: { up_proj: 2, 'layers.1.self_attn.q_proj': 8, proj: 3 },
      alphaPattern: { 'model\\.layers\\.[01]\\.mlp\\.down_proj': 32 },
    },
    'rank-stabilised': { targets: ['gate_proj'], rsLora: true, rankPattern: { 'layers.2.*': 9 } },
    'some layers': { targets: ['k_proj', 'mlp.down_proj'], layers: [0, 2] },
    dora: { targets: ['q_proj', 'down_proj'], dora: true },
    'a pattern': { targets: '.*\\.layers\\.[02]\\.(self_attn\\.q_proj|mlp\\..*_proj)' },
    'exceptions by pattern': { targets: ['q_proj', 'k_proj'], exclude: '.*\\.0\\..*' },
  };
  test.each(Object.keys(cases))('%s: as PEFT itself writes them', (name) => {
    expectSameConfig(adapterConfig({ ...settings, ...cases[name] }), json(join(oracle, 'targets.json'))[name].config);
  });
});

describe('an adapter is refused', () => {
  const read = async (folder: string, name: TinyName = 'llama') => readAdapter(folder, { base: await baseOf(name) });

  test.each([
    ['another method', { peft_type: 'IA3' }, 'peft_type IA3'],
    ['another task', { task_type: 'TOKEN_CLS' }, 'task_type TOKEN_CLS'],
    ['a bias of its own', { lora_bias: true }, 'lora_bias'],
    ['tokens trained by themselves', { trainable_token_indices: [3] }, 'trainable_token_indices'],
    ['repeated layers', { layer_replication: [[0, 2]] }, 'layer_replication'],
    ['parameters without a module', { target_parameters: ['experts'] }, 'target_parameters'],
    ['quantisation-aware groups', { use_qalora: true }, 'use_qalora'],
    ['a start that changes the base', { init_lora_weights: 'pissa_niter_4' }, 'init_lora_weights pissa_niter_4'],
  ])('with %s, by name', async (_, config, what) => {
    await expect(read(changed('llama', config))).rejects.toThrow(
      `adapter: not supported: ${what}; merge it into its base with PEFT and use the merged model`,
    );
  });

  test('that was made for another base, naming module and base', async () => {
    const theirs = join(tinyFolder('gemma3'), 'adapter');
    await expect(read(theirs)).rejects.toThrow(
      'adapter: does not fit the model models/llama: the adapter has model.layers.6.mlp.down_proj',
    );
    await expect(read(join(tinyFolder('llama-class'), 'adapter'))).rejects.toThrow(
      /models\/llama: the adapter has nothing for model\.layers\.2\./,
    );
    await expect(read(join(tinyFolder('gemma3-class'), 'adapter'), 'llama-class')).rejects.toMatchObject({ code: 'adapter.base' });
    const base = await baseOf('llama');
    const wider = { ...base, config: { ...base.config, intermediateSize: 48 } };
    await expect(readAdapter(join(tinyFolder('llama'), 'adapter'), { base: wider })).rejects.toThrow(
      'lora_B of model.layers.0.mlp.gate_proj is [32, 4] where [48, 4] belongs; use it with the model it was trained on',
    );
  });

  test('whose rank is not that of its configuration', async () => {
    await expect(read(changed('llama', { r: 8 }))).rejects.toThrow(
      'adapter: rank is not that of adapter_config.json: 4 of model.layers.0.self_attn.q_proj, not 8; save it again',
    );
  });

  test('that holds what its configuration does not name', async () => {
    await expect(read(changed('llama', { target_modules: ['q_proj'] }))).rejects.toThrow(
      'adapter: tensor of a module that target_modules does not name',
    );
  });

  test('with an adapted head or embedding, by name', async () => {
    const folder = changed('llama', { target_modules: ['lm_head'] });
    const head = { name: 'base_model.model.lm_head.lora_A.weight', type: 'F32' as const, shape: [4, 16] };
    await writeSafetensors(join(folder, 'adapter_model.safetensors'), [{ entries: [head], read: () => [new Float32Array(64)] }]);
    await expect(read(folder)).rejects.toThrow(
      'adapter: tensor not supported: base_model.model.lm_head.lora_A.weight; supported: LoRA on linear',
    );
  });

  test('without its files, with a hint', async () => {
    await expect(read(tinyFolder('llama'))).rejects.toThrow(`name ${join(tinyFolder('llama'), 'adapter')}`);
    const folder = changed('llama', {});
    rmSync(join(folder, 'adapter_model.safetensors'));
    await expect(read(folder)).rejects.toThrow('is the folder complete?');
    writeFileSync(join(folder, 'adapter_config.json'), '{');
    await expect(read(folder)).rejects.toThrow('adapter: adapter_config.json is not JSON');
  });

  test('and a classifier without its head', async () => {
    const folder = changed('llama', { task_type: 'SEQ_CLS' });
    await expect(read(folder)).rejects.toThrow('adapter: classification head missing: base_model.model.score.weight; was it saved whole?');
    expect(existsSync(folder)).toBe(true);
  });
});
