import { describe, expect, test } from 'vitest';

import { costText, machineOf, parseRunpodSettings } from '../../src/remote/runpod-settings.ts';

describe('what --on runpod: says', () => {
  test('names the machine in the words of the API', () => {
    const { hours, limit, ...said } = parseRunpodSettings(
      'image=ghcr.io/a/b:1,gpu=NVIDIA A40|NVIDIA L40S,cloud=COMMUNITY,disk=100,hours=2,limit=5',
    );
    expect({ hours, limit }).toEqual({ hours: 2, limit: 5 });
    expect(machineOf({ ...said, limit })).toEqual({
      ...{ imageName: 'ghcr.io/a/b:1', computeType: 'GPU', gpuTypeIds: ['NVIDIA A40', 'NVIDIA L40S'], gpuCount: 1 },
      ...{ cloudType: 'COMMUNITY', containerDiskInGb: 100, volumeInGb: 0 },
    });
    expect(machineOf(parseRunpodSettings('image=b,vcpu=16'))).toEqual({
      ...{ imageName: 'b', computeType: 'CPU', cpuFlavorIds: ['cpu5c', 'cpu3c'], vcpuCount: 16 },
      ...{ cloudType: 'SECURE', containerDiskInGb: 50, volumeInGb: 0 },
    });
  });

  test.each([
    ['', /--on runpod: image: name the image/],
    ['image=b,gpus=1', /unknown setting of runpod: image=b,gpus=1; known: image, gpu, /],
    ['image=b,disk=much', /--on runpod: disk: not a number/],
    ['image=b,limit=900', /--on runpod: limit: more than 500/],
    ['image=b,cloud=HEAVEN', /--on runpod: cloud: not SECURE or COMMUNITY/],
    ['image', /--on runpod: image|unknown setting/],
  ])('%s is refused in one line', (given, says) => {
    expect(() => parseRunpodSettings(given)).toThrow(says);
  });

  test.each([
    [
      'image=b,gpu=NVIDIA H100 PCIe|NVIDIA A100 80GB PCIe,hours=3',
      /at \$2\.89 an hour \(list price .*about \$8\.67 for 3 h, at most \$69\.36: it ends by itself after 24 h/,
    ],
    [
      'image=b,price=0.4,limit=2',
      /1 x NVIDIA A40 \(SECURE\) at \$0\.40 an hour \(as you say\): at most \$0\.80: it ends by itself after 2 h/,
    ],
    ['image=b,vcpu=8', /8 cores \(SECURE\), price not known here: say price=.*after 24 h/],
  ])('%s: what it may cost is said before anything is launched', (given, says) => {
    expect(costText(parseRunpodSettings(given))).toMatch(says);
  });
});
