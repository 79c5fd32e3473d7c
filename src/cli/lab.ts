/** The laboratory's commands (docs/laboratory.md). */
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import type { Command } from 'commander';
import { loadLab } from '../hsm/lab.ts';
import { CommandError, exitCode, say } from './output.ts';

const sources = ['system', 'processor'] as const;
const LOT = 65536;

export function addLabCommands(program: Command): void {
  program.command('lab').description('the laboratory: a build in which things can be broken (docs/laboratory.md)')
    .command('noise <file>')
    .description('raw noise, a sample a byte, for the estimators of SP 800-90B')
    .option('--samples <n>', 'how many', '1000000')
    .option('--source <name>', sources.join(' or '), 'system')
    .action(async (file: string, options: { samples: string; source: string }) => {
      const samples = Number(options.samples);
      const source = sources.findIndex((name) => name === options.source);
      if (!Number.isSafeInteger(samples) || samples < 1) throw new CommandError(exitCode.usage, '--samples is a number from 1');
      if (source < 0) throw new CommandError(exitCode.usage, `--source is ${sources.join(' or ')}`);
      const lab = loadLab();
      try {
        const out = createWriteStream(file, { mode: 0o600, flags: 'wx' });
        for (let left = samples; left > 0; left -= LOT) {
          const lot = lab.noise(source, LOT);
          if (!out.write(lot.subarray(0, Math.min(left, LOT)))) await once(out, 'drain');
        }
        out.end();
        await once(out, 'finish');
      } finally {
        lab.close();
      }
      say(`${samples} samples in ${file}`);
    });
}
