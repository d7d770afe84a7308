// Opens a model wherever it lies: a Hugging Face folder (safetensors in one file or shards, full precision or bitsandbytes NF4) or a GGUF
// file, alone or the only one in its folder. Only headers are read; everything that can be checked without the weights is checked here.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';

import * as z from 'zod';

import { UserError } from '../base/errors.ts';
import { printable } from '../base/text.ts';
import { isNf4, quantisedWeight, readNf4, readNf4State } from './bitsandbytes.ts';
import { openGguf } from './gguf-model.ts';
import { type ModelFolder, precisionOfType, type TensorEntry } from './model-folder.ts';
import { type Precision, readConfig } from './read-config.ts';
import { openSafetensors, readStored, type Safetensors } from './safetensors.ts';
import { checkTensors, tensorShapes } from './tensor-shapes.ts';
import { shardIndex } from './write-safetensors.ts';

/**
 * Opens a model folder or GGUF file.
 *
 * @throws UserError `model.not-found`, `model.no-config`, `model.no-weights`, `model.tensor-missing`, `model.shape`, and those of the formats
 */
export async function openModel(path: string): Promise<ModelFolder> {
  if (!existsSync(path)) throw new UserError('model.not-found', `model: not found: ${path}; name a model folder or a .gguf file`);
  if (!statSync(path).isDirectory()) return openGguf(path);
  if (existsSync(join(path, 'config.json'))) return openHuggingFace(path);
  const files = readdirSync(path).filter((name) => name.endsWith('.gguf'));
  if (files.length === 1) return { ...(await openGguf(join(path, files[0]!))), path };
  throw files.length > 1
    ? new UserError('model.no-config', `model: several GGUF files: ${files.join(', ')}; name one of them`)
    : new UserError('model.no-config', `model: no config.json: ${path}; name a model folder or a .gguf file`);
}

/** Where a tensor lies: its file, and its name there. */
type Place = { readonly file: Safetensors; readonly fileName: string; readonly quantised: boolean };

async function openHuggingFace(path: string): Promise<ModelFolder> {
  const configFile = readJsonObject(join(path, 'config.json'));
  const generation = existsSync(join(path, 'generation_config.json')) ? readJsonObject(join(path, 'generation_config.json')) : {};
  refuseOtherQuantisation(configFile['quantization_config']);
  // Faults of the config come before those of the weights.
  readConfig(configFile, { generation });
  const files = await openWeights(path);
  const close = async () => {
    await Promise.all(files.map((file) => file.close()));
  };
  try {
    const places = findTensors(files);
    const config = readConfig(configFile, { generation, precision: precisionOf(places) });
    const tensors = new Map<string, TensorEntry>();
    for (const name of tensorShapes(config).keys()) {
      const place = places.get(name);
      if (!place) continue;
      const { type, shape } = place.file.tensors.get(place.fileName)!;
      tensors.set(name, { type, shape: place.quantised ? (await readNf4State(place.file, place.fileName)).shape : shape });
    }
    checkTensors(config, tensors);
    return {
      path,
      config,
      tensors,
      read: (name) => {
        const place = tensors.has(name) ? places.get(name) : undefined;
        if (!place) throw new Error(`model: no such tensor: ${name}`);
        return place.quantised ? readNf4(place.file, place.fileName) : readStored(place.file, place.fileName);
      },
      close,
    };
  } catch (cause) {
    await close();
    throw cause;
  }
}

/** The one weights file, or all that the index names. */
async function openWeights(path: string): Promise<readonly Safetensors[]> {
  const single = join(path, 'model.safetensors');
  if (existsSync(single)) return [await openSafetensors(single)];
  if (!existsSync(join(path, shardIndex))) {
    const pickled = readdirSync(path).some((name) => /^pytorch_model.*\.bin$/.test(name));
    const hint = pickled ? 'its pickled weights must be saved as safetensors' : 'is the folder complete?';
    throw new UserError('model.no-weights', `model: no model.safetensors and no ${shardIndex}: ${path}; ${hint}`);
  }
  const map = readJsonObject(join(path, shardIndex))['weight_map'];
  const parsed = z.record(z.string(), z.string().regex(/^[^/\\]+\.safetensors$/)).safeParse(map);
  if (!parsed.success) throw new UserError('model.no-weights', `model: ${shardIndex}: weight_map is not names to files; download it again`);
  const names = [...new Set(Object.values(parsed.data))].sort();
  const absent = names.filter((name) => !existsSync(join(path, name)));
  if (absent.length > 0) {
    throw new UserError('model.no-weights', `model: file missing: ${absent[0]} (${absent.length} of ${names.length}); download it again`);
  }
  const files: Safetensors[] = [];
  try {
    for (const name of names) files.push(await openSafetensors(join(path, name)));
    const byName = new Map(files.map((file) => [basename(file.path), file]));
    for (const [tensor, name] of Object.entries(parsed.data)) {
      if (byName.get(name)!.tensors.has(tensor)) continue;
      throw new UserError(
        'model.tensor-missing',
        `model: tensor missing: ${printable(tensor)}, which the index places in ${name}; download it again`,
      );
    }
    return files;
  } catch (cause) {
    await Promise.all(files.map((file) => file.close()));
    throw cause;
  }
}

function findTensors(files: readonly Safetensors[]): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>();
  for (const file of files) {
    for (const fileName of file.tensors.keys()) {
      const name = textName(fileName);
      if (name === undefined || quantisedWeight(name) !== undefined) continue;
      const twin = places.get(name);
      if (twin)
        throw new UserError(
          'model.tensor-twice',
          `model: two tensors for one weight: ${printable(`${twin.fileName} and ${fileName}`)}; keep one`,
        );
      places.set(name, { file, fileName, quantised: isNf4(file, fileName) });
    }
  }
  return places;
}

/**
 * The text model's name of a tensor; nothing for those of the vision part.
 * Multimodal files say `language_model.model.layers` (version 4), `model.language_model.layers` (version 5) or, as text models, `model.layers`.
 */
function textName(name: string): string | undefined {
  if (/(^|\.)(vision_tower|vision_model|multi_modal_projector)\./.test(name)) return undefined;
  return name
    .replace(/^(model\.language_model|language_model\.model|language_model)\.(?=layers|embed_tokens|norm)/, 'model.')
    .replace(/^language_model\.(?=lm_head)/, '');
}

/** The embeddings' own: they are never quantised here, and Gemma's factor is rounded to it. */
function precisionOf(places: ReadonlyMap<string, Place>): Precision {
  const place = places.get('model.embed_tokens.weight');
  const type = place?.file.tensors.get(place.fileName)?.type;
  return precisionOfType(type);
}

function refuseOtherQuantisation(quantisation: unknown): void {
  const method = z.looseObject({ quant_method: z.string() }).safeParse(quantisation).data?.quant_method;
  if (quantisation == null || method === 'bitsandbytes') return;
  throw new UserError(
    'quantised.unsupported',
    `model: quantisation not supported: ${printable(method ?? 'unnamed')}; supported: bitsandbytes nf4, GGUF`,
  );
}

/** Reads a JSON file that must hold an object. */
function readJsonObject(path: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new UserError('model.json', `model: not JSON: ${path}; download it again`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UserError('model.json', `model: not a JSON object: ${path}; download it again`);
  }
  return value as Record<string, unknown>;
}
