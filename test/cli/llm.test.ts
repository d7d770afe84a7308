import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';

import { toFloat32 } from '../../src/models/expand.ts';
import { openModel } from '../../src/models/folder.ts';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const oracle = resolve(import.meta.dirname, '../oracle/llm');
const tiny = (name: string) => join(oracle, 'models', name);
const format = (name: string) => join(oracle, 'formats', name);
const home = mkdtempSync(join(tmpdir(), 'clinfuse-llm-'));
const at = (name: string) => join(home, name);
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** Nothing of the machine's own Hugging Face settings reaches a test. */
const env = { ...process.env, HF_HOME: at('hf'), HF_TOKEN: '', HF_TOKEN_PATH: '', HF_ENDPOINT: '', HF_HUB_OFFLINE: '' };

function llm(words: readonly string[], more: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'llm', ...words], {
    cwd: home,
    encoding: 'utf8',
    env: { ...env, ...more },
  });
  return { status, stdout, stderr };
}

beforeEach(() => mkdirSync(home, { recursive: true }));
afterEach(() => {
  for (const name of readdirSync(home)) rmSync(at(name), { recursive: true, force: true });
});

async function weightsOf(path: string): Promise<Map<string, Float32Array>> {
  const model = await openModel(path);
  const weights = new Map<string, Float32Array>();
  for (const name of model.tensors.keys()) weights.set(name, toFloat32(await model.read(name)));
  await model.close();
  return weights;
}

describe('llm info', () => {
  test('tells people what a model is', () => {
    const { status, stdout } = llm(['info', tiny('gemma3')]);
    expect(status).toBe(0);
    for (const line of [
      /^Architecture +Gemma 3 \(text\), text generation$/m,
      /^Parameters +23,104$/m,
      /^ {2}embedding +1,024 \(also the head\)$/m,
      /^Layers +7: 6 local \(window 5\), 1 global \(layer 6\)$/m,
      /^Context +64 tokens$/m,
      /^RoPE +global base 1,000,000; local base 10,000$/m,
      /^Stored as +F32 92\.4 kB \(93 tensors\)$/m,
      /^Tokenizer +none to be used: tokenizer: not found: /m,
      /^Memory, about +2\d\d MB to generate, 64 tokens in all$/m,
    ])
      expect(stdout).toMatch(line);
    expect(
      Math.max(
        ...stdout
          .split('\n')
          .filter((line) => !line.startsWith('Tokenizer'))
          .map((line) => line.length),
      ),
    ).toBeLessThan(120);
  });

  test('tells machines the same, of every kind of model', () => {
    const json = (path: string) => JSON.parse(llm(['info', path, '--json']).stdout) as Record<string, unknown>;
    expect(json(tiny('llama31'))).toMatchObject({ kind: 'model', family: 'llama', rope: { scaling: { kind: 'llama3' } } });
    expect(json(tiny('llama-class'))).toMatchObject({ task: 'classification', labels: expect.anything() });
    expect(json(format('gguf-gemma3.gguf'))).toMatchObject({ family: 'gemma3', layers: { window: expect.any(Number) } });
    expect(json(join(format('folders'), 'nf4'))).toMatchObject({ storage: [{ type: 'F32' }, { type: 'NF4', tensors: 7 }] });
    expect(json(join(tiny('gemma3'), 'adapter'))).toMatchObject({
      kind: 'adapter',
      dora: true,
      rank: 4,
      alpha: 8,
      modules: 49,
      parameters: 9632,
    });
  });

  test('reads no weight: a file of holes is as good', () => {
    cpSync(tiny('llama'), at('model'), { recursive: true });
    const file = at('model/model.safetensors');
    const header = readFileSync(file).readUInt32LE() + 8;
    const size = statSync(file).size;
    truncateSync(file, header);
    truncateSync(file, size);
    expect(llm(['info', 'model', '--json']).stdout).toBe(llm(['info', tiny('llama'), '--json']).stdout.replaceAll(tiny('llama'), 'model'));
  });
});

describe('llm convert and quantize', () => {
  test('a GGUF file becomes a folder of the same numbers', async () => {
    const { status, stdout } = llm(['convert', '--model', format('gguf-llama.gguf'), '--out', 'out', '--dtype', 'f32', '--quiet']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\d+ tensors, .* before, .* after: out\n/);
    expect(await weightsOf(at('out'))).toEqual(await weightsOf(format('gguf-llama.gguf')));
  });

  test('without a precision, weights stay as they are', async () => {
    const { stdout } = llm(['convert', '--model', join(format('folders'), 'gemma3'), '--out', 'out', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ out: 'out', tokenizer: false });
    const model = await openModel(at('out'));
    expect([...model.tensors.values()].every(({ type }) => type === 'BF16')).toBe(true);
    await model.close();
    expect(await weightsOf(at('out'))).toEqual(await weightsOf(join(format('folders'), 'gemma3')));
  });

  test('a model in NF4 is smaller, and only its linear layers are', async () => {
    const { status, stdout } = llm(['quantize', '--model', tiny('llama'), '--out', 'out', '--json', '--quiet']);
    expect(status).toBe(0);
    const { bytesBefore, bytesAfter } = JSON.parse(stdout) as { bytesBefore: number; bytesAfter: number };
    expect(bytesAfter).toBeLessThan(bytesBefore);
    const model = await openModel(at('out'));
    for (const [name, { type }] of model.tensors) expect(type).toBe(/_proj/.test(name) ? 'U8' : 'F32');
    await model.close();
    expect(llm(['quantize', '--model', 'out', '--out', 'again'])).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/is nf4 already: out/),
    });
  });
});

describe('llm merge', () => {
  test('base and adapter become one model, and the output says onto which weights', async () => {
    const words = ['merge', '--model', tiny('llama'), '--adapter', join(tiny('llama'), 'adapter'), '--out', 'out', '--quiet'];
    const { status, stdout } = llm(words);
    expect({ status, stdout }).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(
        /^\d+ linear layers merged, f32: out\nWhich weights: the adapter was merged onto the base's own weights \(F32\)\n/,
      ),
    });
    const [before, after] = [await weightsOf(tiny('llama')), await weightsOf(at('out'))];
    const name = 'model.layers.0.self_attn.q_proj.weight';
    expect(after.get(name)).not.toEqual(before.get(name));
    expect(after.get('model.embed_tokens.weight')).toEqual(before.get('model.embed_tokens.weight'));
  });

  test('an adapter that says it was trained on nf4 goes onto nf4, unless told otherwise', () => {
    cpSync(join(tiny('llama'), 'adapter'), at('adapter'), { recursive: true });
    writeFileSync(at('adapter/clinfuse.json'), '{"trainedOn": "nf4"}');
    const merge = (...more: string[]) =>
      JSON.parse(
        llm(['merge', '--model', tiny('llama'), '--adapter', 'adapter', '--out', 'out', '--json', '--quiet', ...more]).stdout,
      ) as object;
    expect(merge()).toMatchObject({ onto: expect.stringMatching(/linear layers as nf4, spelled out/) });
    expect(merge('--onto', 'base', '--dtype', 'bf16')).toMatchObject({ format: 'bf16', onto: expect.stringMatching(/base's own weights/) });
  });
});

/** A header for tensors of no bytes at all, as GGUF writes it. */
function gguf(type: number): Buffer {
  const text = (value: string) => Buffer.concat([number(value.length, 8), Buffer.from(value)]);
  const number = (value: number, bytes: 4 | 8) => {
    const buffer = Buffer.alloc(bytes);
    buffer.writeUInt32LE(value);
    return buffer;
  };
  const parts = [Buffer.from('GGUF'), number(3, 4), number(1, 8), number(1, 8), text('general.architecture'), number(8, 4), text('llama')];
  const tensor = [text('token_embd.weight'), number(2, 4), number(256, 8), number(4, 8), number(type, 4), number(0, 8)];
  return Buffer.concat([...parts, ...tensor]);
}

describe('llm with what cannot be used', () => {
  const copyOf = (name: string) => cpSync(tiny(name), at('model'), { recursive: true });

  test.each<[string, () => void, string[], RegExp]>([
    ['nothing there', () => {}, ['info', 'model'], /model: not found: model; name a model folder or a \.gguf file/],
    ['no path', () => {}, ['info'], /info: <path>: name a model folder.*; see clinfuse llm info --help/],
    ['an unknown verb', () => {}, ['inof'], /unknown verb: inof; did you mean info\?/],
    ['a folder without config', () => mkdirSync(at('model')), ['info', 'model'], /model: no config\.json: model/],
    [
      'a folder without weights',
      () => {
        copyOf('llama');
        rmSync(at('model/model.safetensors'));
      },
      ['convert', '--model', 'model', '--out', 'out'],
      /model: no model\.safetensors/,
    ],
    [
      'weights cut short',
      () => {
        copyOf('llama');
        truncateSync(at('model/model.safetensors'), 60_000);
      },
      ['convert', '--model', 'model', '--out', 'out'],
      /safetensors: model\.safetensors: truncated: .* ends at byte \d+ of \d+; download or write it again/,
    ],
    [
      'weights of another shape than the config says',
      () => {
        copyOf('llama');
        const config = JSON.parse(readFileSync(at('model/config.json'), 'utf8')) as object;
        writeFileSync(at('model/config.json'), JSON.stringify({ ...config, vocab_size: 99 }));
      },
      ['info', 'model'],
      /model: shape does not match the config: model\.embed_tokens\.weight/,
    ],
    [
      'a GGUF type that is not supported',
      () => writeFileSync(at('model'), gguf(11)),
      ['info', 'model'],
      /gguf: model: type not supported: Q3_K of token_embd\.weight; supported: F32, F16/,
    ],
    ['no GGUF file at all', () => writeFileSync(at('model'), 'a text of mine'), ['info', 'model'], /gguf: model: does not begin with GGUF/],
    [
      'a config of another architecture',
      () => {
        copyOf('llama');
        writeFileSync(at('model/config.json'), '{"architectures": ["MambaForCausalLM"]}');
      },
      ['info', 'model'],
      /config: model not supported: MambaForCausalLM; supported: /,
    ],
    [
      'an adapter of another kind',
      () => {
        cpSync(join(tiny('llama'), 'adapter'), at('model'), { recursive: true });
        writeFileSync(at('model/adapter_config.json'), '{"peft_type": "IA3"}');
      },
      ['info', 'model'],
      /adapter: .*adapter_config\.json of a LoRA adapter\?/,
    ],
    [
      'a precision there is none of',
      () => copyOf('llama'),
      ['convert', '--model', 'model', '--out', 'out', '--dtype', 'f8'],
      /--dtype: not one of f32, f16, bf16/,
    ],
    [
      'a format there is none of',
      () => copyOf('llama'),
      ['quantize', '--model', 'model', '--out', 'out', '--format', 'gptq'],
      /--format: not nf4/,
    ],
    [
      'an output inside the input',
      () => copyOf('llama'),
      ['convert', '--model', 'model', '--out', 'model/new'],
      /output: overlaps the input/,
    ],
    ['pull of no name', () => {}, ['pull', 'smollm', '--out', 'out'], /pull: <name>: not of the form OWNER\/NAME/],
    [
      'pull offline',
      () => {},
      ['pull', 'a/b', '--out', 'out', '--offline'],
      /pull: offline: --offline was given, so no connection is opened/,
    ],
    ['push to no name', () => copyOf('llama'), ['push', '--folder', 'model', '--to', 'mine'], /--to: not of the form OWNER\/NAME/],
    ['push without a token', () => copyOf('llama'), ['push', '--folder', 'model', '--to', 'a/b'], /push: no token: set HF_TOKEN/],
  ])('%s: one line, exit 2, nothing written', (_, prepare, words, says) => {
    prepare();
    const before = readdirSync(home);
    const { status, stdout, stderr } = llm([...words, '--quiet']);
    expect({ stderr, status, stdout }).toMatchObject({ status: 2, stdout: '', stderr: expect.stringMatching(says) });
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(readdirSync(home)).toEqual(before);
  });

  test('a full disk: one line, exit 2, nothing written', () => {
    const words = ['llm', 'convert', '--model', tiny('llama'), '--out', 'out', '--dtype', 'f32', '--quiet'];
    // Files of at most 16 kB: what a full disk is to a program. The signal that comes with it is to be ignored.
    const shell = `trap '' XFSZ; ulimit -f 16; exec "$0" "$@"`;
    const { status, stderr } = spawnSync('bash', ['-c', shell, process.execPath, main, ...words], {
      cwd: home,
      encoding: 'utf8',
      env: { ...env, NODE_DISABLE_COMPILE_CACHE: '1' },
    });
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringMatching(/^clinfuse: output: disk full while writing .*\n$/) });
    expect(readdirSync(home)).toEqual([]);
  });
});
