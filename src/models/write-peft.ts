// Writes adapter folders as PEFT loads them; peft.ts says what is in them.

import { join } from 'node:path';

import { jsonText, writeFolder, writeText } from '../base/files.ts';
import type { Adapter } from './adapter.ts';
import { type AdapterSettings, asNames, type DecoderPrefix, isAllLinear, outerName, type Targets } from './adapter-settings.ts';
import { linearNames } from './decoder-layer.ts';
import { type AdapterNotes, adapterFiles, adapterRoot } from './peft.ts';
import { type TensorGroup, writeSafetensors } from './write-safetensors.ts';

/** What was measured of an adapter may lie with it; with another in its place it holds no longer, and goes. */
const measured = 'calibration.json';

/** Writes an adapter as PEFT loads it; the folder appears whole or not at all. */
export async function writeAdapter(
  path: string,
  { adapter, settings, labels, trainedOn }: AdapterNotes & { readonly adapter: Adapter; readonly settings: AdapterSettings },
): Promise<void> {
  const groups: TensorGroup[] = [];
  const add = (name: string, shape: readonly number[], data: Float32Array) =>
    groups.push({ entries: [{ name: adapterRoot + name, type: 'F32', shape }], read: () => [data] });
  for (const [module, { shape, a, b, magnitude }] of adapter.modules) {
    const name = outerName(module, settings.prefix);
    add(`${name}.lora_A.weight`, [shape.rank, a.length / shape.rank], a);
    add(`${name}.lora_B.weight`, [b.length / shape.rank, shape.rank], b);
    if (magnitude) add(`${name}.lora_magnitude_vector`, [magnitude.length], magnitude);
  }
  for (const [name, { shape, data }] of adapter.saved) add(name, shape, data);
  await writeFolder(path, { names: [...Object.values(adapterFiles), measured] }, async (folder) => {
    await writeSafetensors(join(folder, adapterFiles.weights), groups);
    const texts = adapterTexts({ settings, ...(labels && { labels }), ...(trainedOn !== undefined && { trainedOn }) });
    for (const [name, text] of Object.entries(texts)) await writeText(join(folder, name), text);
  });
}

/** The files of an adapter beside its weights. */
export function adapterTexts({
  settings,
  labels,
  trainedOn,
}: AdapterNotes & { readonly settings: AdapterSettings }): Readonly<Record<string, string>> {
  const notes = { ...(labels && { labels }), ...(trainedOn !== undefined && { trainedOn }) };
  return {
    [adapterFiles.config]: jsonText(adapterConfig(settings)),
    [adapterFiles.readme]: readme(settings),
    ...(Object.keys(notes).length > 0 && { [adapterFiles.notes]: jsonText(notes) }),
  };
}

/** What adapter_config.json says for these settings; keys sorted, those at PEFT's defaults that old versions do not know left out. */
export function adapterConfig(settings: AdapterSettings): Record<string, unknown> {
  const { task, prefix, layers, layersPattern, exclude } = settings;
  const config: Record<string, unknown> = {
    alpha_pattern: settings.alphaPattern ?? {},
    auto_mapping: null,
    base_model_name_or_path: settings.base ?? null,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: layersPattern ?? null,
    layers_to_transform: layers ?? null,
    lora_alpha: settings.alpha,
    lora_dropout: settings.dropout,
    modules_to_save: task === 'SEQ_CLS' ? ['classifier', 'score'] : null,
    peft_type: 'LORA',
    r: settings.rank,
    rank_pattern: settings.rankPattern ?? {},
    revision: settings.revision ?? null,
    target_modules: targetsFor(settings.targets, prefix),
    task_type: task,
    use_dora: settings.dora,
    use_rslora: settings.rsLora,
    ...(exclude !== undefined && { exclude_modules: exclude }),
  };
  return Object.fromEntries(Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** In a multimodal model the ends of names are found in the vision part too: there a pattern says which are meant. */
function targetsFor(targets: Targets, prefix: DecoderPrefix): Targets {
  const ends = isAllLinear(targets) ? linearNames.map((name) => name.slice(name.indexOf('.') + 1)).sort() : asNames(targets);
  if (typeof ends === 'string' || prefix === 'model') return ends;
  const escaped = ends.map((end) => end.replaceAll('.', '\\.'));
  return `(.*\\.)?${prefix.replaceAll('.', '\\.')}\\.layers\\.(.*\\.)?(${escaped.join('|')})`;
}

function readme({ task, rank, alpha, base }: AdapterSettings): string {
  const head = [
    '---',
    'library_name: peft',
    ...(base === undefined ? [] : [`base_model: ${base}`]),
    'tags:',
    '- lora',
    '- clinfuse',
    '---',
  ];
  return `${head.join('\n')}\n\nA LoRA adapter (${task}, rank ${rank}, alpha ${alpha}) trained with ClinFuse; load it with PEFT or ClinFuse.\n`;
}
