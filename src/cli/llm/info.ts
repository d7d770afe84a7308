import type { Command } from 'commander';
import { z } from 'zod';

import { type AdapterInfo, type ModelInfo, modelInfo } from '../../apps/llm/info.ts';
import { bytesText, thousands } from '../../base/text.ts';
import { verb } from '../verb.ts';

const schema = z.strictObject({ path: z.string('name a model folder, a .gguf file or an adapter folder').min(1) });

/** `clinfuse llm info`: what a model is, from its headers. */
export function infoCommand(): Command {
  return verb({
    name: 'info',
    argument: { name: 'path', help: 'model folder, .gguf file or PEFT adapter folder' },
    summary: 'says what a model is and the memory it needs, reading no weights',
    example: 'clinfuse llm info models/smollm2-135m.gguf',
    options: [],
    schema,
    run: async ({ path }) => {
      const found = await modelInfo(path);
      const rows = found.kind === 'model' ? modelRows(found) : adapterRows(found);
      const width = Math.max(...rows.map(([name]) => name.length));
      return { text: rows.map(([name, ...said]) => `${name.padEnd(width)}   ${said.join('   ')}`.trimEnd()).join('\n'), json: found };
    },
  });
}

type Row = readonly [name: string, ...said: string[]];

const familyNames = { llama: 'Llama', gemma3: 'Gemma 3 (text)' } as const;

function modelRows(model: ModelInfo): readonly Row[] {
  const { family, parameters, layers, labels, rope, ropeLocal, storage, tokenizer, memory } = model;
  const task = labels ? `classification: ${labels.slice(0, 8).join(', ')}${labels.length > 8 ? ', ...' : ''}` : 'text generation';
  return [
    ['Model', model.path],
    ['Architecture', `${familyNames[family]}, ${task}`],
    ['Parameters', thousands(parameters.total)],
    ...parameters.parts.map((part): Row => [`  ${part.name}`, `${thousands(part.count)}${tiedNote(part.name, model)}`]),
    ['Layers', layersText(layers)],
    ['Width', `${thousands(model.hiddenSize)}, feed-forward ${thousands(model.intermediateSize)}`],
    ['Heads', `${model.heads} of ${model.headDim}, ${model.keyValueHeads} for keys and values`],
    ['Context', `${thousands(model.contextLength)} tokens`],
    ['RoPE', ropeLocal ? `global ${ropeText(rope)}; local ${ropeText(ropeLocal)}` : ropeText(rope)],
    [
      'Stored as',
      storage.map(({ type, tensors, bytes }) => `${type} ${bytesText(bytes)} (${tensors} tensor${tensors === 1 ? '' : 's'})`).join(', '),
    ],
    ...tokenizerRows(tokenizer),
    ...memory.map(({ use, bytes }, i): Row => [i === 0 ? 'Memory, about' : '', `${bytesText(Number(bytes.toPrecision(2)))} ${use}`]),
    ['LoRA rank 16', `trains ${thousands(model.loraParameters)} numbers on every linear layer`],
  ];
}

const tiedNote = (part: string, { tiedEmbeddings, labels }: ModelInfo) =>
  part === 'embedding' && tiedEmbeddings && !labels ? ' (also the head)' : '';

function layersText({ count, kinds, window = 0 }: ModelInfo['layers']): string {
  const local = kinds.filter((kind) => kind === 'local').length;
  if (local === 0) return `${count}, all global`;
  const near = `local (window ${thousands(window)})`;
  return local === count ? `${count}, all ${near}` : `${count}: ${local} ${near}, ${count - local} global (${globalPlaces(kinds)})`;
}

/** Which layers see everything: `6, 12, 18` counted from 1; the rule where there are many. */
function globalPlaces(kinds: ModelInfo['layers']['kinds']): string {
  const places = kinds.flatMap((kind, i) => (kind === 'global' ? [i + 1] : []));
  const step = places[0] ?? 0;
  if (places.length > 2 && places.every((place, i) => place === (i + 1) * step)) return `every ${step}th`;
  return `layer${places.length === 1 ? '' : 's'} ${places.join(', ')}`;
}

function ropeText({ base, scaling }: ModelInfo['rope']): string {
  const stretched = scaling.kind === 'none' ? '' : `, stretched ${scaling.factor} times (${scaling.kind})`;
  return `base ${thousands(base)}${stretched}`;
}

function tokenizerRows(tokenizer: ModelInfo['tokenizer']): readonly Row[] {
  if ('missing' in tokenizer) return [['Tokenizer', `none to be used: ${tokenizer.missing}`]];
  const { vocabulary, bos, eos, pad, endOfTurn, chatTemplate } = tokenizer;
  const special = Object.entries({ bos, eos, pad }).flatMap(([name, token]) => (token === undefined ? [] : [`${name} ${token}`]));
  return [
    ['Tokenizer', `${thousands(vocabulary)} tokens`],
    ['  special', special.join(', ') || 'none'],
    ['  ends an answer', endOfTurn.join(', ') || 'none'],
    ['  chat template', chatTemplate ? 'yes' : 'no'],
  ];
}

function adapterRows(adapter: AdapterInfo): readonly Row[] {
  const { rank, alpha, dora, rslora, dropout, targets, trainedWhole } = adapter;
  const kind = [dora ? 'DoRA' : 'LoRA', ...(rslora ? ['rank-stabilised'] : [])].join(', ');
  return [
    ['Adapter', adapter.path],
    ['Kind', adapter.type === 'LORA' ? kind : `${adapter.type}, not supported`],
    ['Base model', adapter.base ?? 'not named'],
    ...(adapter.task ? [['Task', adapter.task] as const] : []),
    ['Rank', `${rank}, alpha ${alpha}${dropout > 0 ? `, dropout ${dropout}` : ''}`],
    ['Targets', typeof targets === 'string' ? targets : targets.join(', ')],
    ['Modules', `${adapter.modules} adapted${trainedWhole.length > 0 ? `, trained whole: ${trainedWhole.join(', ')}` : ''}`],
    ['Parameters', thousands(adapter.parameters)],
    ['Stored as', adapter.storage.map(({ type, bytes }) => `${type} ${bytesText(bytes)}`).join(', ')],
  ];
}
