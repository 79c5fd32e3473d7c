import { resolve } from 'node:path';
import type { Command } from 'commander';
import { homeOf } from '../open.ts';
import type { CloudTrailEvent } from '../audit/event.ts';
import { AdminClient } from './admin.ts';
import { CommandError, exitCode, printRows, type Format } from './output.ts';

interface TailPage {
  readonly events: readonly CloudTrailEvent[];
  /** Where to go on: opaque. */
  readonly next: string;
}

interface Verdict {
  readonly events: number;
  readonly shards: number;
  /** What is wrong, by shard and sequence number; empty: the trail is whole. */
  readonly faults: readonly { readonly shard: string; readonly seq: number; readonly what: string }[];
}

/** Of delivered files. */
interface FileVerdict {
  readonly logs: number;
  readonly digests: number;
  readonly faults: readonly { readonly object: string; readonly kind: string; readonly what: string }[];
}

export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('the trail of every request, hash-chained and MACed by the core');
  audit
    .command('tail')
    .description('the last events')
    .option('-n, --lines <count>', 'how many', '20')
    .option('-f, --follow', 'go on as they come')
    .option('--json', 'one JSON object a line')
    .action(async (options: Format & { lines: string; follow?: boolean }) => {
      const client = new AdminClient(homeOf(process.env));
      let page = await client.get<TailPage>(`/v1/audit?last=${encodeURIComponent(options.lines)}`);
      print(page.events, options);
      while (options.follow === true) {
        await new Promise((done) => setTimeout(done, 500));
        page = await client.get<TailPage>(`/v1/audit?after=${encodeURIComponent(page.next)}`);
        print(page.events, options);
      }
    });
  audit
    .command('verify')
    .description('read the whole trail: is anything edited, removed or reordered?')
    .option('--dir <path>', 'also the log files and digests delivered there')
    .option('--json', 'one JSON object')
    .action(async ({ dir, ...format }: Format & { dir?: string }) => {
      const client = new AdminClient(homeOf(process.env));
      const verdict = await client.post<Verdict>('/v1/audit/verify', {});
      const files = dir === undefined ? undefined : await client.post<FileVerdict>('/v1/audit/files', { directory: resolve(dir) });
      if (format.json === true) process.stdout.write(`${JSON.stringify(files === undefined ? verdict : { ...verdict, files }, undefined, 2)}\n`);
      else {
        for (const fault of verdict.faults) process.stdout.write(`${fault.shard} ${fault.seq}: ${fault.what}\n`);
        process.stdout.write(`${verdict.events} events in ${verdict.shards} chain${verdict.shards === 1 ? '' : 's'}: ${soundness(verdict.faults.length)}\n`);
        for (const fault of files?.faults ?? []) process.stdout.write(`${fault.what}\n`);
        if (files !== undefined) process.stdout.write(`${files.logs} log files, ${files.digests} digests: ${soundness(files.faults.length)}\n`);
      }
      if (verdict.faults.length > 0) throw new CommandError(exitCode.integrity, 'the audit trail was altered');
      if ((files?.faults.length ?? 0) > 0) throw new CommandError(exitCode.integrity, 'delivered files were altered');
    });
  audit
    .command('deliver')
    .description('deliver log files now (docs/audit.md)')
    .option('--digest', 'and a digest of each trail')
    .action(async ({ digest = false }: { digest?: boolean }) => {
      await new AdminClient(homeOf(process.env)).post('/v1/audit/deliver', { digest });
    });
  audit
    .command('key')
    .description('the public key that checks digests')
    .option('--json', 'one JSON object')
    .action(async (format: Format) => {
      const key = await new AdminClient(homeOf(process.env)).get<{ fingerprint: string; pem: string }>('/v1/audit/key');
      process.stdout.write(format.json === true ? `${JSON.stringify(key, undefined, 2)}\n` : key.pem);
    });
}

const soundness = (faults: number): string => (faults === 0 ? 'whole' : `${faults} faults`);

function print(events: readonly CloudTrailEvent[], format: Format): void {
  if (format.json === true) {
    for (const event of events) process.stdout.write(`${JSON.stringify(event)}\n`);
    return;
  }
  if (events.length === 0) return;
  printRows(events, [
    { title: 'Time', value: (e) => e.eventTime },
    { title: 'Event', value: (e) => e.eventName },
    { title: 'Who', value: (e) => e.userIdentity.arn ?? e.userIdentity.accessKeyId ?? '-' },
    { title: 'Key', value: (e) => e.resources?.map((r) => r.ARN.slice(r.ARN.lastIndexOf('/') + 1)).join(' ') ?? '' },
    { title: 'Result', value: (e) => e.errorCode ?? 'ok' },
    { title: 'Request', value: (e) => e.requestID },
  ], format);
}
