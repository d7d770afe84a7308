import { defineConfig } from 'vitest/config';

// Minutes each, with programs of others (bench/peers/setup.sh): not part of `npm test`.
export default defineConfig({
  test: { include: ['test/long/**/*.test.ts'], testTimeout: 900_000, hookTimeout: 300_000, maxWorkers: 1 },
});
