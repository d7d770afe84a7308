import type { Command } from 'commander';
import { z } from 'zod';

import { openMlflow } from '../../training/mlflow-client.ts';
import { mirrorRegistry } from '../../training/registry-mirror.ts';
import { mlflowAccess } from '../mlflow-access.ts';
import { verb } from '../verb.ts';
import { registryOption, registrySchema } from './options.ts';

/** `clinfuse registry push`: sends what an MLflow server does not have yet. */
export function pushCommand(): Command {
  return verb({
    name: 'push',
    summary: 'sends versions and champions that an MLflow server does not have yet',
    example: 'clinfuse registry push --tracking-uri http://localhost:5000',
    options: [{ flags: '--tracking-uri <address>', help: 'the server (default: MLFLOW_TRACKING_URI)' }, registryOption],
    schema: z.strictObject({ trackingUri: z.string().min(1).optional(), registry: registrySchema }),
    run: async ({ trackingUri, registry }, { log }) => {
      const client = openMlflow({ ...mlflowAccess(trackingUri), log });
      const sent = await mirrorRegistry(registry, client);
      const what =
        sent.versions + sent.champions > 0 ? `${sent.versions} versions sent, ${sent.champions} champions moved` : 'nothing to send';
      return { text: `${what}; ${client.address}`, json: { ...sent, address: client.address } };
    },
  });
}
