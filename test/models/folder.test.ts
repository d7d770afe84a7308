import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';

import { UserError } from '../../src/base/errors.ts';
import { toFloat32 } from '../../src/models/expand.ts';
import { openModel } from '../../src/models/folder.ts';
import type { ModelFolder } from '../../src/models/model-folder.ts';
import { openSafetensors } from '../../src/models/safetensors.ts';
import { writeSafetensors } from '../../src/models/write-safetensors.ts';
import { hashOf } from './hash.ts';

// Tiny random models saved by transformers, bitsandbytes and gguf-py, and hashes of every tensor as those programs load it (recipe.py).
const oracle = join(import.meta.dirname, '../oracle/llm/formats');
type Hashes = Readonly<Record<string, Readonly<Record<string, string>>>>;
const folders: Hashes = JSON.parse(readFileSync(join(oracle, 'folders.json'), 'utf8'));
const ggufModels: Hashes = JSON.parse(readFileSync(join(oracle, 'gguf-models.json'), 'utf8'));

const scratch = mkdtempSync(join(tmpdir(), 'clinfuse-folder-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let made = 0;
/** A copy of an oracle folder, to be damaged. */
function copyOf(name: string): string {
  const folder = join(scratch, String(made++));
  cpSync(join(oracle, 'folders', name), folder, { recursive: true });
  return folder;
}

function editJson(path: string, edit: (value: Record<string, unknown>) => Record<string, unknown>): void {
  writeFileSync(path, JSON.stringify(edit(JSON.parse(readFileSync(path, 'utf8')))));
}

/** Writes a folder's single weights file again under other names; no name: left out. */
async function rename(folder: string, nameOf: (name: string) => string | undefined): Promise<void> {
  const path = join(folder, 'model.safetensors');
  const file = await openSafetensors(path);
  const groups = [...file.tensors].flatMap(([name, entry]) => {
    const to = nameOf(name);
    return to === undefined ? [] : [{ entries: [{ ...entry, name: to }], read: async () => [await file.readBytes(name)] }];
  });
  await writeSafetensors(`${path}.new`, groups);
  await file.close();
  cpSync(`${path}.new`, path);
  rmSync(`${path}.new`);
}

async function hashesOf(model: ModelFolder): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const name of [...model.tensors.keys()].sort()) hashes[name] = hashOf(toFloat32(await model.read(name)));
  return hashes;
}

/** Oracle hashes under the text model's names, a tied head left out. */
function expected(hashes: Readonly<Record<string, string>>, tied: boolean): Record<string, string> {
  const renamed = Object.entries(hashes).map(([name, hash]) => [name.replace('model.language_model.', 'model.'), hash] as const);
  return Object.fromEntries(renamed.filter(([name]) => !(tied && name === 'lm_head.weight')));
}

describe('open model', () => {
  test.each([...Object.keys(folders)])('%s: every tensor is what its writer loads', async (name) => {
    const model = await openModel(join(oracle, 'folders', name));
    expect(await hashesOf(model)).toEqual(expected(folders[name]!, model.config.tiedEmbeddings));
    await model.close();
  });

  test.each([...Object.keys(ggufModels)])('%s: every tensor is what transformers dequantises', async (name) => {
    const model = await openModel(join(oracle, `${name}.gguf`));
    expect(await hashesOf(model)).toEqual(expected(ggufModels[name]!, model.config.tiedEmbeddings));
    await model.close();
  });

  test('a GGUF model has the config of the folder it was made from', async () => {
    for (const name of ['llama', 'gemma3']) {
      const [folder, file] = [await openModel(join(oracle, 'folders', name)), await openModel(join(oracle, `gguf-${name}.gguf`))];
      const { source: _, eosTokenIds: __, bosTokenId: ___, padTokenId: ____, embeddingScale, ...config } = folder.config;
      expect(file.config).toMatchObject({ ...config, normEpsilon: Math.fround(config.normEpsilon) });
      expect(file.config.embeddingScale).toBeCloseTo(embeddingScale, 1);
      await Promise.all([folder.close(), file.close()]);
    }
  });

  test('a folder that holds one GGUF file is that file', async () => {
    const folder = join(scratch, 'with-gguf');
    mkdirSync(folder);
    cpSync(join(oracle, 'gguf-llama.gguf'), join(folder, 'model.gguf'));
    const model = await openModel(folder);
    expect([model.path, model.tensors.get('model.layers.0.self_attn.q_proj.weight')]).toEqual([folder, { shape: [32, 32], type: 'Q4_0' }]);
    await model.close();
    cpSync(join(oracle, 'gguf-llama.gguf'), join(folder, 'other.gguf'));
    await expect(openModel(folder)).rejects.toThrow('model: several GGUF files: model.gguf, other.gguf; name one of them');
  });

  test('quantised weights keep their form, and say their own shape', async () => {
    const model = await openModel(join(oracle, 'folders/nf4-double'));
    expect(model.tensors.get('model.layers.0.self_attn.k_proj.weight')).toEqual({ shape: [16, 32], type: 'BF16' });
    expect((await model.read('model.layers.0.self_attn.k_proj.weight')).format).toBe('nf4');
    expect((await model.read('model.embed_tokens.weight')).format).toBe('f32');
    await model.close();
  });

  test.each(['model.language_model.', 'language_model.'])('text names of a multimodal file may begin with %s', async (prefix) => {
    const folder = copyOf('gemma3-images-classes');
    await rename(folder, (name) => name.replace('language_model.model.', prefix).replace('vision_tower.', 'vision_tower.vision_model.'));
    const model = await openModel(folder);
    expect(await hashesOf(model)).toEqual(expected(folders['gemma3-images-classes']!, true));
    expect(model.config.labels).toEqual(['no', 'maybe', 'yes']);
    await model.close();
  });

  const q = 'model.layers.0.self_attn.q_proj.weight';
  const edited =
    (name: string, edit: (value: Record<string, unknown>) => Record<string, unknown>, file = 'config.json') =>
    () => {
      const folder = copyOf(name);
      editJson(join(folder, file), edit);
      return folder;
    };
  const renamed = (name: string, nameOf: (name: string) => string | undefined) => async () => {
    const folder = copyOf(name);
    await rename(folder, nameOf);
    return folder;
  };
  const without = (name: string, file: string) => () => {
    const folder = copyOf(name);
    rmSync(join(folder, file));
    return folder;
  };

  test.each([
    { fault: 'nothing there', make: () => join(scratch, 'absent'), says: 'model: not found: ' },
    { fault: 'no config', make: without('llama-tied', 'config.json'), says: 'model: no config.json: ' },
    {
      fault: 'no weights',
      make: without('llama-tied', 'model.safetensors'),
      says: 'model: no model.safetensors and no model.safetensors.index.json',
    },
    {
      fault: 'a shard missing',
      make: without('llama', 'model-00002-of-00003.safetensors'),
      says: 'model: file missing: model-00002-of-00003.safetensors (1 of 3)',
    },
    {
      fault: 'an index that lies',
      make: edited(
        'llama',
        ({ weight_map: map }) => ({ weight_map: { ...(map as object), [q]: 'model-00003-of-00003.safetensors' } }),
        'model.safetensors.index.json',
      ),
      says: `model: tensor missing: ${q}, which the index places in model-00003-of-00003.safetensors`,
    },
    {
      fault: 'an index that leads outside',
      make: edited('llama', () => ({ weight_map: { [q]: '../model.safetensors' } }), 'model.safetensors.index.json'),
      says: 'weight_map is not names to files',
    },
    {
      fault: 'a config of another size',
      make: edited('llama-tied', (config) => ({ ...config, hidden_size: 64 })),
      says: 'model: shape does not match the config: model.embed_tokens.weight is [48, 32], the config asks for [48, 64]; are they of one model?',
    },
    {
      fault: 'a config of more layers',
      make: edited('llama-tied', (config) => ({ ...config, num_hidden_layers: 2 })),
      says: 'model: tensor missing: model.layers.1.input_layernorm.weight and 8 more; is the folder complete, and its config right?',
    },
    {
      fault: 'no head where none is tied',
      make: edited('llama-tied', (config) => ({ ...config, tie_word_embeddings: false })),
      says: 'model: tensor missing: lm_head.weight; set tie_word_embeddings if the head is the embedding',
    },
    {
      fault: 'more labels than the head has rows',
      make: edited('gemma3-images-classes', (config) => ({ ...config, id2label: { 0: 'no', 1: 'yes' } })),
      says: 'score.weight is [3, 32], the config asks for [2, 32]',
    },
    {
      fault: 'one weight under two names',
      make: renamed('gemma3-images-classes', (name) => (name === 'vision_tower.head.probe' ? 'model.norm.weight' : name)),
      says: 'model: two tensors for one weight: ',
    },
    {
      fault: 'another quantisation',
      make: edited('llama-tied', (config) => ({ ...config, quantization_config: { quant_method: 'gptq' } })),
      says: 'model: quantisation not supported: gptq; supported: bitsandbytes nf4, GGUF',
    },
    {
      fault: '8-bit weights of bitsandbytes',
      make: renamed('nf4', (name) => (name.includes('quant_state') ? name.replace(/weight\..*/, 'SCB') : name)),
      says: 'bitsandbytes: form not supported: int8 of model.layers.0',
    },
    {
      fault: 'a config that is not JSON',
      make: () => {
        const folder = copyOf('llama-tied');
        writeFileSync(join(folder, 'config.json'), '{');
        return folder;
      },
      says: 'model: not JSON: ',
    },
  ])('$fault is refused', async ({ make, says }) => {
    const path = await make();
    await expect(openModel(path)).rejects.toThrow(says);
    await expect(openModel(path)).rejects.toMatchObject({ name: 'UserError' });
  });

  test.each([
    { name: 'model.safetensors', make: () => copyOf('nf4-double') },
    { name: 'config.json', make: () => copyOf('nf4-double') },
    {
      name: 'model.gguf',
      make: () => {
        const folder = join(scratch, 'damaged');
        mkdirSync(folder);
        cpSync(join(oracle, 'gguf-llama.gguf'), join(folder, 'model.gguf'));
        return folder;
      },
    },
  ])('whatever bytes of $name are damaged, it opens or the fault is told in one line', async ({ name, make }) => {
    const folder = make();
    const path = join(folder, name);
    const whole = readFileSync(path);
    const header = Math.min(3000, whole.length);
    const edits = fc.array(fc.tuple(fc.nat(header - 1), fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('0123456789{}[],":-')))), {
      minLength: 1,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(edits, async (changes) => {
        const bytes = Buffer.from(whole);
        for (const [at, byte] of changes) bytes[at] = byte;
        writeFileSync(path, bytes);
        const model = await openModel(folder).catch((fault: unknown) => fault);
        if (model instanceof Error) {
          expect(model).toBeInstanceOf(UserError);
          expect(model.message).not.toContain('\n');
        } else await (model as ModelFolder).close();
      }),
      { seed: 5, numRuns: 150 },
    );
  });

  test('an absmax of the wrong length is refused on reading', async () => {
    const folder = copyOf('nf4');
    await rename(folder, (name) => (name === `${q}.absmax` ? undefined : name));
    const model = await openModel(folder);
    await expect(model.read(q)).rejects.toThrow(`bitsandbytes: ${q}.absmax: missing; quantise the model again`);
    await model.close();
  });
});
