// What `--on runpod:...` says of the pod: `key=value`, separated by commas. Nothing secret: it is written down in the job's record.
//
//   runpod:image=ghcr.io/my-team/clinfuse:0.1,gpu=NVIDIA A40|NVIDIA L40S,disk=100,hours=3

import { z } from 'zod';

import { UserError } from '../base/errors.ts';
import type { PodRequest } from './runpod-api.ts';

const number = (least: number) => z.coerce.number('not a number').min(least, `less than ${least}`);
const settings = z.strictObject({
  /** Image with clinfuse as its entry point: the repository's Dockerfile makes one. */
  image: z.string('name the image: image=REGISTRY/NAME:TAG').min(1),
  /** GPU types, any of which will do. */
  gpu: z
    .string()
    .min(1)
    .transform((names) => names.split('|').map((name) => name.trim()))
    .default(['NVIDIA A40']),
  /** Cores; then no GPU is rented. */
  vcpu: number(1).int('not a whole number').optional(),
  cloud: z.enum(['SECURE', 'COMMUNITY'], 'not SECURE or COMMUNITY').default('SECURE'),
  /** Gigabytes for image, inputs and outputs. */
  disk: number(5).int('not a whole number').default(50),
  /** Whose repository the job travels through; default: the token's owner. */
  owner: z
    .string()
    .regex(/^[\w.-]+$/, 'not a name')
    .optional(),
  /** Name of a RunPod secret that holds the hub's token; without it the token is a variable of the pod. */
  secret: z.string().regex(/^\w+$/, 'not the name of a secret').optional(),
  /** Dollars an hour, where it is known better than here. */
  price: number(0).optional(),
  /** Hours it is expected to take. */
  hours: number(0).optional(),
  /** Hours after which the worker gives up by itself. */
  limit: number(0.01).max(500, 'more than 500').default(24),
});

export type RunpodSettings = z.infer<typeof settings>;

/** @param given what follows `runpod:` @throws UserError `job.target` */
export function parseRunpodSettings(given: string): RunpodSettings {
  const pairs = given === '' ? [] : given.split(',').map((pair) => /^\s*(\w+)=(.*)$/s.exec(pair)?.slice(1) ?? [pair.trim(), undefined]);
  const parsed = settings.safeParse(Object.fromEntries(pairs));
  if (parsed.success) return parsed.data;
  const { path, message, code } = parsed.error.issues[0]!;
  const known = Object.keys(settings.shape).join(', ');
  if (code === 'unrecognized_keys') throw new UserError('job.target', `job: unknown setting of runpod: ${given}; known: ${known}`);
  throw new UserError('job.target', `job: --on runpod: ${path.join('.')}: ${message}; write runpod:image=...,gpu=...; known: ${known}`);
}

/** The machine, in the words of the API. */
export function machineOf({ gpu, vcpu, cloud, disk, image }: RunpodSettings): Omit<PodRequest, 'name' | 'dockerStartCmd' | 'env'> {
  const shared = { imageName: image, cloudType: cloud, containerDiskInGb: disk, volumeInGb: 0 };
  if (vcpu !== undefined) return { ...shared, computeType: 'CPU', cpuFlavorIds: ['cpu5c', 'cpu3c'], vcpuCount: vcpu };
  return { ...shared, computeType: 'GPU', gpuTypeIds: gpu, gpuCount: 1 };
}

/** Dollars an hour in RunPod's secure cloud, as listed in November 2026: the API tells the price of a pod only once it runs. */
const listed: Readonly<Record<string, number>> = {
  'NVIDIA A100 80GB PCIe': 1.79,
  'NVIDIA A100-SXM4-80GB': 1.79,
  'NVIDIA H100 80GB HBM3': 3.99,
  'NVIDIA H100 NVL': 3.19,
  'NVIDIA H100 PCIe': 2.89,
};

/** What it may cost, in words; the limit bounds it, since the pod ends by itself. */
export function costText({ gpu, vcpu, cloud, price, hours, limit }: RunpodSettings): string {
  const machine = vcpu === undefined ? `1 x ${gpu.join(' or ')}` : `${vcpu} cores`;
  const known = vcpu === undefined ? gpu.map((name) => listed[name]) : [undefined];
  const hourly = price ?? (known.every((one) => one !== undefined) ? Math.max(...known) : undefined);
  if (hourly === undefined)
    return `${machine} (${cloud}), price not known here: say price=, see RunPod's list; it ends by itself after ${limit} h`;
  const source = price === undefined ? "list price of RunPod's secure cloud, November 2026" : 'as you say';
  const expected = hours === undefined ? '' : `about ${dollars(hourly * hours)} for ${hours} h, `;
  return `${machine} (${cloud}) at ${dollars(hourly)} an hour (${source}): ${expected}at most ${dollars(hourly * limit)}: it ends by itself after ${limit} h`;
}

const dollars = (amount: number): string => `$${amount.toFixed(2)}`;
