import { z } from 'zod';

/** How the pipeline's verbs read the options they share. */
export const cwdSchema = z.string().min(1);
export const revisionSchema = z.string().min(1).default('HEAD');
export const targetsSchema = z.array(z.string().min(1)).default([]);
