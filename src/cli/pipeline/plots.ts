import { copyFileSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { Command } from 'commander';
import { z } from 'zod';

import { UserError } from '../../base/errors.ts';
import { writeFolder, writeJson, writeText } from '../../base/files.ts';
import { compareCodePoints } from '../../base/text.ts';
import { confusionChart } from '../../charts/confusion.ts';
import { type ChartSpec, chartFile, renderPng, renderSvg } from '../../charts/render.ts';
import { seriesChart } from '../../charts/series.ts';
import { readPipeline } from '../../pipeline/dvc-file.ts';
import { filesOf, isPage, isPicture, type Plot, type PlotDefinition, plotDefinitions, plotOf } from '../../pipeline/plots.ts';
import { type Rows, rowsOf } from '../../pipeline/rows.ts';
import { verb } from '../verb.ts';
import { cwdOption, pipelineFile } from './options.ts';
import { cwdSchema } from './schemas.ts';

const formats = {
  svg: async (spec: ChartSpec, file: string) => writeText(file, await renderSvg(spec)),
  png: async (spec: ChartSpec, file: string) => writeText(file, await renderPng(await renderSvg(spec))),
  json: async (spec: ChartSpec, file: string) => writeJson(file, chartFile(spec)),
};

/** `clinfuse plots`: what a pipeline draws. */
export function plotsCommand(): Command {
  return new Command('plots').description('What a pipeline draws').addCommand(showCommand());
}

/** `clinfuse plots show`: a picture for each plot of dvc.yaml. */
function showCommand(): Command {
  return verb({
    name: 'show',
    summary: 'draws the plots that dvc.yaml names, each to a file',
    example: 'clinfuse plots show --out plots-drawn',
    options: [
      { flags: '--out <folder>', help: 'folder of the pictures', required: true },
      { flags: '--format <format>', help: 'svg, png, or json for the Vega-Lite specifications', default: 'svg' },
      cwdOption,
    ],
    schema: z.strictObject({ out: z.string().min(1), format: z.enum(['svg', 'png', 'json']), cwd: cwdSchema }),
    run: async ({ out, format, cwd }, { log }) => {
      const file = pipelineFile(cwd);
      const found = plotDefinitions(readPipeline(file)).flatMap((definition) => withinFolder(definition, cwd));
      if (found.length === 0) throw new UserError('pipeline.plot', `pipeline: no plots in ${file}; name the files under plots:`);
      const missing = found.filter((one) => !filesOf(one).some((path) => existsSync(join(cwd, path)))).map(({ id }) => id);
      if (missing.length > 0) log(`not there yet: ${missing.join(', ')}; run the stages that write them`);
      const pictures = found
        .filter(({ id }) => !missing.includes(id))
        .map((definition) => ({ definition, name: pictureName(definition.id, isPicture(definition.id) ? undefined : format) }));
      // Drawn before the folder is touched: a column that is not there must leave what was drawn before.
      const drawn = pictures.map(({ definition, name }) => ({ name, source: join(cwd, definition.id), spec: specOf(definition, cwd) }));
      await writeFolder(out, { names: existingPictures(out) }, async (folder) => {
        for (const { name, source, spec } of drawn) {
          if (spec) await formats[format](spec, join(folder, name));
          else copyFileSync(source, join(folder, name));
        }
      });
      const text = pictures.map(({ definition, name }) => `${join(out, name)}  ${definition.id}`).join('\n');
      return {
        text: text || 'nothing to draw yet',
        json: { out, plots: pictures.map(({ definition, name }) => ({ id: definition.id, file: name })), missing },
      };
    },
  });
}

/** A plot that is a folder stands for the files in it. */
function withinFolder(definition: PlotDefinition, folder: string): readonly PlotDefinition[] {
  const path = join(folder, definition.id);
  if (isPage(definition.properties) || !statSync(path, { throwIfNoEntry: false })?.isDirectory()) return [definition];
  const files = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files
    .map((entry) => join(entry.parentPath, entry.name).slice(join(folder, '/').length))
    .sort(compareCodePoints)
    .map((id) => ({ id, properties: definition.properties }));
}

/** The chart of an entry; none for what is a picture already. */
function specOf(definition: PlotDefinition, folder: string): ChartSpec | undefined {
  if (isPicture(definition.id)) return undefined;
  const header = definition.properties.header !== false;
  const rows = filesOf(definition)
    .filter((path) => existsSync(join(folder, path)))
    .map((path): readonly [string, Rows] => [path, rowsOf(readFileSync(join(folder, path)), path, { header })]);
  return chartOf(plotOf(definition, new Map(rows)));
}

function chartOf(plot: Plot): ChartSpec {
  const { title, xLabel, yLabel, series, template } = plot;
  if (template !== 'confusion' && template !== 'confusion_normalized') return seriesChart(plot, { points: template === 'scatter' });
  const pairs = series.flatMap(({ points }) => points.map(({ x, y }) => ({ actual: String(x), predicted: String(y) })));
  // DVC writes the true class as x and the label as y; a matrix has the true class in its rows.
  return confusionChart({ pairs, title, xLabel: yLabel, yLabel: xLabel, normalized: template === 'confusion_normalized' });
}

/** `plots/loss.csv` as `plots_loss.csv.svg`; a picture keeps its own ending. */
function pictureName(id: string, format: string | undefined): string {
  return `${id.replaceAll(/[^\p{L}\p{N}._-]+/gu, '_')}${format ? `.${format}` : ''}`;
}

/** What an earlier call may have left: pictures, which the new ones replace. */
function existingPictures(out: string): readonly string[] {
  if (!statSync(out, { throwIfNoEntry: false })?.isDirectory()) return [];
  return readdirSync(out).filter((name) => isPicture(name) || extname(name) === '.json');
}
