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
    .option('--json', 'one JSON object')
    .action(async (format: Format) => {
      const verdict = await new AdminClient(homeOf(process.env)).post<Verdict>('/v1/audit/verify', {});
      if (format.json === true) process.stdout.write(`${JSON.stringify(verdict, undefined, 2)}\n`);
      else {
        for (const fault of verdict.faults) process.stdout.write(`${fault.shard} ${fault.seq}: ${fault.what}\n`);
        process.stdout.write(`${verdict.events} events in ${verdict.shards} chain${verdict.shards === 1 ? '' : 's'}: ${verdict.faults.length === 0 ? 'whole' : `${verdict.faults.length} faults`}\n`);
      }
      if (verdict.faults.length > 0) throw new CommandError(exitCode.integrity, 'the audit trail was altered');
    });
}

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
