import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    ...{ include: ['test/**/*.test.ts'], exclude: ['test/long/**'], testTimeout: 60_000, hookTimeout: 120_000, maxWorkers: 2 },
    // Commands are run some eight hundred times: each starts from what the first has compiled.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/node') },
  },
});
