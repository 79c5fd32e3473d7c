import { HsmError } from './core.ts';
import { labAddonPath, loadAddon, type LabAddon } from './addon.ts';

/** The laboratory's core (docs/laboratory.md), powered on. */
export interface Lab {
  /** Raw noise, a sample a byte; source 0 the operating system's, 1 the processor's. */
  noise(source: number, samples: number): Buffer;
  close(): void;
}

/** Throws an Error of one sentence where it was not built. */
export function loadLab(): Lab {
  const addon = loadAddon(labAddonPath) as LabAddon;
  addon.open(HsmError, 0, false);
  return {
    noise(source, samples) {
      const room = Buffer.allocUnsafe(Math.ceil(samples / 8) * 8);
      return room.subarray(0, Math.min(samples, addon.labNoise(source, room)));
    },
    close: () => void addon.close(),
  };
}
