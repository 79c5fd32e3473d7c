/** A server's heap snapshot. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Running } from '../clients/running.ts';

/** Of a server that was started with --heapsnapshot-signal=SIGUSR2 and this folder as its --diagnostic-dir. */
export async function heapSnapshot({ process: server }: Running, folder: string): Promise<string> {
  server.kill('SIGUSR2');
  for (let i = 0; i < 600; i += 1) {
    await new Promise((done) => setTimeout(done, 100));
    const file = readdirSync(folder).find((f) => f.endsWith('.heapsnapshot'));
    // Complete when its last brace is written.
    if (file !== undefined && readFileSync(join(folder, file)).subarray(-8).toString('latin1').trimEnd().endsWith('}')) return join(folder, file);
  }
  throw new Error('no heap snapshot came');
}
