import { homedir } from 'node:os';
import { join } from 'node:path';

/** What is made or fetched once and kept between runs; CLINFUSE_CACHE names another place. */
export const cacheFolder = (): string => process.env['CLINFUSE_CACHE'] || join(homedir(), '.cache', 'clinfuse');
