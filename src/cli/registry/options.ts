import { z } from 'zod';

import type { VerbOption } from '../verb.ts';

export const registryOption: VerbOption = { flags: '--registry <folder>', help: 'where models are kept', default: 'models-registry' };
export const registrySchema = z.string().min(1);
