// The base of the classifier: of a model that also sees (Gemma 3, MedGemma) the text part alone, with a new classification head. The weights of
// text stay as they are, bit for bit; the vision part and a head for words of its own are left out. Which names the file uses for the text
// part (three are about) is settled where models are opened (models/folder). Without a head it stays a model that writes text.

import { UserError } from '../../../base/errors.ts';
import type { Progress } from '../../../base/progress.ts';
import { sizeOf } from '../../../models/expand.ts';
import { openModel } from '../../../models/folder.ts';
import { newHead } from '../../../models/lora.ts';
import { precisionOfType } from '../../../models/model-folder.ts';
import { type WeightToWrite, writeModelFolder } from '../../../models/write-folder.ts';

export type PrepareBaseOptions = {
  /** Model folder. */
  readonly model: string;
  readonly out: string;
  /** Decides the head. */
  readonly seed: number;
  /** No head for classes: the model goes on writing text. */
  readonly isHeadless?: boolean | undefined;
  readonly progress: Progress;
};

export type PreparedBase = {
  readonly out: string;
  /** Whether there was a vision part to leave out. */
  readonly stripped: boolean;
  /** Numbers of the text model, the head's with them. */
  readonly parameters: number;
};

const labels = ['LABEL_0', 'LABEL_1'];

/**
 * Writes the text model as a sequence classifier of two classes that transformers loads, or as the model of words it was.
 *
 * @throws UserError those of `openModel` and `writeModelFolder`; `base.quantised` for weights that are not kept in full
 */
export async function prepareBase({ model: path, out, seed, isHeadless = false, progress }: PrepareBaseOptions): Promise<PreparedBase> {
  const model = await openModel(path);
  try {
    const { config, tensors } = model;
    const kept = [...tensors].filter(([name]) => name !== 'score.weight' && (isHeadless || name !== 'lm_head.weight'));
    const step = progress.step('tensors', { total: kept.length, unit: 'tensors' });
    const weights = kept.map(([name, { shape, type }]): WeightToWrite => {
      const read = async () => {
        step.advance(1);
        const stored = await model.read(name);
        if (stored.format !== 'nf4' && stored.format !== 'blocks') return stored;
        throw new UserError('base.quantised', `prepare-base: weights are quantised: ${path}; name a model in full precision`);
      };
      return { name, shape, format: precisionOfType(type), read };
    });
    if (!isHeadless) {
      const { shape, data } = newHead(config, { seed, labels: labels.length });
      weights.push({ name: 'score.weight', shape, format: weights[0]!.format, read: () => ({ format: 'f32', shape, data }) });
    }
    // A classifier reads its answer at the last token that is no padding: it must know which one that is.
    const padTokenId = config.padTokenId ?? config.eosTokenIds[0];
    const { multimodal, labels: _, ...text } = config;
    await writeModelFolder(out, {
      config: { ...text, ...(!isHeadless && { labels }), ...(padTokenId !== undefined && { padTokenId }) },
      weights,
      copyFrom: path,
    });
    step.finish();
    return { out, stripped: multimodal === true, parameters: weights.reduce((sum, weight) => sum + sizeOf(weight.shape), 0) };
  } finally {
    await model.close();
  }
}
