import { z } from 'zod';

/** What `job status` and `job cancel` are asked about. */
export const placeArgument = { name: 'place', help: 'output of a command that was launched with --on; or, where the job runs, its folder' };

export const placeSchema = z.strictObject({ place: z.string('name an output, or the folder of a job').min(1) });
