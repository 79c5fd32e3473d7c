/** A server's heap snapshot, and the same search through a file as through memory. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Running } from '../clients/running.ts';
import { scan, type Hit, type Needle } from './scan.ts';

/** A process that holds the file in memory, so that the same search reads it. */
export async function scanFile(file: string, needles: readonly Needle[]): Promise<readonly Hit[]> {
  const holder = spawn(process.execPath, ['-e', `const held = require('fs').readFileSync(${JSON.stringify(file)}); console.log(held.length); setInterval(() => held.length, 1000)`], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await new Promise((done) => holder.stdout.once('data', done));
    return scan(holder.pid ?? 0, needles);
  } finally {
    holder.kill('SIGKILL');
  }
}

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
