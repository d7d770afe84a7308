import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { prepareBase } from '../../../../src/apps/entity-resolution/llm/prepare-base.ts';
import { silent } from '../../../../src/base/progress.ts';
import { openModel } from '../../../../src/models/folder.ts';
import { languageModel } from '../../../../src/models/language-model.ts';
import { loadResident } from '../../../../src/models/resident.ts';
import { openSafetensors } from '../../../../src/models/safetensors.ts';
import { writeSafetensors } from '../../../../src/models/write-safetensors.ts';

const oracle = resolve(import.meta.dirname, '../../../oracle/llm/formats');
const scratch = mkdtempSync(join(tmpdir(), 'clinfuse-base-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A multimodal model that transformers wrote, its text part under other names. */
async function seeing(prefix: string): Promise<string> {
  const folder = join(scratch, prefix);
  cpSync(join(oracle, 'folders', 'gemma3-images-classes'), folder, { recursive: true });
  const path = join(folder, 'model.safetensors');
  const file = await openSafetensors(path);
  const groups = [...file.tensors].map(([name, entry]) => ({
    entries: [{ ...entry, name: name.replace('language_model.model.', prefix) }],
    read: async () => [await file.readBytes(name)],
  }));
  await writeSafetensors(`${path}.new`, groups);
  await file.close();
  cpSync(`${path}.new`, path);
  return folder;
}

/** What the last layer says of a short text. */
async function hiddenOf(path: string): Promise<Float32Array> {
  const folder = await openModel(path);
  const model = languageModel(await loadResident(folder), { session: { threads: 1 } });
  const hidden = await model.hidden({ rows: 1, tokens: 6, ids: Int32Array.of(2, 7, 5, 11, 3, 9), lengths: Int32Array.of(6) });
  await model.close();
  await folder.close();
  return hidden.data as Float32Array;
}

describe('the base of a classifier', () => {
  test.each(['language_model.model.', 'model.language_model.', 'model.'])(
    'keeps the text part of a file that names it %s, bit for bit',
    async (prefix) => {
      const [model, out] = [await seeing(prefix), join(scratch, `${prefix}out`)];
      expect(await prepareBase({ model, out, seed: 1, progress: silent })).toMatchObject({ stripped: true });
      const [before, after] = [await openModel(model), await openModel(out)];
      expect(after.config.labels).toEqual(['LABEL_0', 'LABEL_1']);
      expect([...after.tensors.keys()].filter((name) => name !== 'score.weight').sort()).toEqual(
        [...before.tensors.keys()].filter((name) => name !== 'score.weight' && name !== 'lm_head.weight').sort(),
      );
      await Promise.all([before.close(), after.close()]);
      const file = await openSafetensors(join(out, 'model.safetensors'));
      expect([...file.tensors.keys()].filter((name) => !/^(model\.(layers|embed_tokens|norm)|score)\./.test(name))).toEqual([]);
      expect(file.tensors.get('score.weight')!.shape).toEqual([2, after.config.hiddenSize]);
      await file.close();
      expect(await hiddenOf(out)).toEqual(await hiddenOf(model));
    },
  );

  test('is a text classifier to transformers, that knows its padding', async () => {
    const config = JSON.parse(readFileSync(join(scratch, 'model.out', 'config.json'), 'utf8'));
    expect(config).toMatchObject({
      architectures: ['Gemma3TextForSequenceClassification'],
      model_type: 'gemma3_text',
      pad_token_id: expect.any(Number),
    });
    expect(config).not.toHaveProperty('vision_config');
  });

  test('draws its head by the seed', async () => {
    const heads: string[] = [];
    for (const [name, seed] of [
      ['a', 1],
      ['b', 1],
      ['c', 2],
    ] as const) {
      await prepareBase({ model: join(scratch, 'model.'), out: join(scratch, name), seed, progress: silent });
      const file = await openSafetensors(join(scratch, name, 'model.safetensors'));
      heads.push(Buffer.from((await file.readBytes('score.weight')) as Uint8Array).toString('hex'));
      await file.close();
    }
    expect(heads[0]).toBe(heads[1]);
    expect(heads[0]).not.toBe(heads[2]);
  });

  test('of a text model adds the head alone; a quantised one is refused', async () => {
    const said = await prepareBase({ model: join(oracle, 'folders', 'llama'), out: join(scratch, 'text'), seed: 1, progress: silent });
    expect(said.stripped).toBe(false);
    await expect(
      prepareBase({ model: join(oracle, 'folders', 'nf4-double'), out: join(scratch, 'no'), seed: 1, progress: silent }),
    ).rejects.toThrow('prepare-base: weights are quantised');
  });
});
