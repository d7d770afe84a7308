import { globSync } from 'node:fs';
import { join } from 'node:path';

import { cache } from '../populations.ts';

/** SmolLM2-135M-Instruct as GGUF (bench/peers/setup.sh fetches it); nothing where it is not at hand. */
export const smollm2 = (): string | undefined =>
  globSync('models/**/SmolLM2-135M-Instruct.Q4_1.gguf', { cwd: cache }).map((file) => join(cache, file))[0];
