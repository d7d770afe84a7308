import { UserError } from '../base/errors.ts';
import type { ModelConfig } from './config.ts';

/**
 * Refuses token texts that a model cannot take. `part` begins the line and the codes.
 *
 * @throws UserError `PART.empty`, `PART.context`, `PART.token`
 */
export function checkTexts(
  texts: readonly (readonly number[])[],
  { part, config, newTokens = 0 }: { readonly part: string; readonly config: ModelConfig; readonly newTokens?: number },
): void {
  const { contextLength, vocabSize } = config;
  for (const [i, ids] of texts.entries()) {
    if (ids.length === 0) throw new UserError(`${part}.empty`, `${part}: text without tokens: number ${i + 1}; give it a text`);
    if (ids.length + newTokens > contextLength) {
      const asked = newTokens > 0 ? `, and ${newTokens} new ones are asked for` : '';
      throw new UserError(
        `${part}.context`,
        `${part}: text longer than the context: number ${i + 1} has ${ids.length} tokens${asked}; the model takes ${contextLength}`,
      );
    }
    const foreign = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabSize));
    if (foreign !== undefined) {
      throw new UserError(
        `${part}.token`,
        `${part}: no such token: ${foreign}; the model has ${vocabSize}; is the tokenizer another model's?`,
      );
    }
  }
}
