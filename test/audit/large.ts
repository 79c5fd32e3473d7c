/** A long trail, at whatever length: what a look-up touches, and who says which event was altered. */
import Database from 'better-sqlite3';
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Delivery, publicKeyFile } from '../../src/audit/delivery.ts';
import type { CloudTrailEvent } from '../../src/audit/event.ts';
import { ChainRecorder } from '../../src/audit/recorder.ts';
import { CoreSigner } from '../../src/audit/signer.ts';
import { trailRoutes } from '../../src/server/trail-routes.ts';
import { packSegment, readSegment } from '../../src/store/segment.ts';
import type { AuditRow } from '../../src/store/store.ts';
import { TrailReader } from '../../src/store/trail.ts';
import { newHome, openRoom, region } from '../server/room.ts';
import type { Room } from '../server/room.ts';

const account = '222233334444';
const root = resolve(import.meta.dirname, '../..');

interface Said {
  readonly status: number | null;
  readonly text: string;
}

/** Beside this process, which serves it. */
function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<Said> {
  return new Promise((done) => {
    const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (part: Buffer) => { text += part.toString('utf8'); });
    child.once('close', (status) => { done({ status, text }); });
  });
}

interface Fault { readonly kind: string; readonly seq?: number; readonly eventId?: string; readonly object?: string }
interface Verdict { readonly events: number; readonly faults: readonly Fault[]; readonly files: { readonly logs: number; readonly faults: readonly Fault[] } }

export function longTrail(count: number): void {
  let home: string;
  let directory: string;
  let room: Room;

  const start = async (): Promise<CoreSigner> => {
    let signer: CoreSigner | undefined;
    room = await openRoom(home, { adminRoutes: trailRoutes({ get store() { return room.store; }, signer: async () => signer as CoreSigner, delivery: undefined }) });
    return (signer = await CoreSigner.open(room.core, room.store, room.core.serviceSession()));
  };
  const verified = async (): Promise<Verdict & { readonly status: number | null }> => {
    const { status, text } = await run(process.execPath, ['bin/strongroom.js', 'audit', 'verify', '--dir', directory, '--json'], { ...process.env, STRONGROOM_HOME: home });
    return { status, ...(JSON.parse(text) as Verdict) };
  };
  /** The program of docs/audit.md, as it is printed there. */
  const independent = (): Promise<Said> => {
    const program = join(home, 'verify.py');
    writeFileSync(program, /```python\n([^]*?)```/.exec(readFileSync(join(root, 'docs/audit.md'), 'utf8'))?.[1] ?? '');
    return run('python3', [program, directory, join(directory, publicKeyFile)]);
  };
  const logs = (): readonly string[] => readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('/CloudTrail/') && name.endsWith('.gz')).sort();

  beforeAll(async () => {
    home = newHome();
    directory = join(home, 'trail');
    const signer = await start();
    const recorder = new ChainRecorder(room.store);
    const delivery = new Delivery({ store: room.store, signer, directory });
    for (let at = 0; at < count; at += 1000) {
      await Promise.all(Array.from({ length: Math.min(1000, count - at) }, (_, i) => recorder.record({
        source: 'kms.amazonaws.com', name: (at + i) % (count / 2) === 7 ? 'CreateKey' : 'Encrypt', readOnly: true, region, requestId: 'r', sourceIp: '127.0.0.1', userAgent: 'test',
        actor: { account, arn: `arn:aws:iam::${account}:root`, principalId: account, accessKeyId: 'AKIA' }, recipients: [account], request: { n: at + i },
      }).durable));
      if ((at + 1000) % (count / 2) === 0) await delivery.run(true);
    }
    await room.store.events({ account, region, limit: 1 });
  });
  afterAll(async () => {
    await room?.stop();
    rmSync(home, { recursive: true, force: true });
  });

  describe('looking up', () => {
    let db: Database.Database;
    let reader: TrailReader;
    beforeAll(() => {
      db = new Database(join(home, 'strongroom.db'), { readonly: true });
      reader = new TrailReader(db);
    });
    afterAll(() => { db?.close(); });

    /** Pages of the database that `work` had to read: none is in memory when it begins. */
    function touched<R>(work: () => R): { readonly pages: number; readonly result: R } {
      const read = (): number => Number(/^rchar: (\d+)/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
      db.pragma('shrink_memory');
      const before = read();
      const result = work();
      return { pages: Math.round((read() - before) / 4096), result };
    }
    // Two segments of 256 events, some 45 pages each, two chunks of the index, and the ways to them.
    const most = 130;

    it.runIf(process.platform === 'linux')('touches as much for the last page as for the first, however long the trail is', () => {
      const seen = new Set<number>();
      const costs: number[] = [];
      let after: string | undefined;
      do {
        const { pages, result } = touched(() => reader.events({ account, region, limit: 50, ...(after === undefined ? {} : { after }) }));
        costs.push(pages);
        for (const row of result.rows) seen.add(row.seq);
        after = result.next;
      } while (after !== undefined);
      expect(seen.size).toBe(count);
      expect(costs).toHaveLength(Math.ceil(count / 50));
      expect(Math.max(...costs)).toBeLessThan(most);
      // The measure measures.
      expect(Math.min(...costs)).toBeGreaterThan(5);
      const whole = touched(() => db.prepare("SELECT count(*) FROM audit_segment WHERE links LIKE '%nothing%'").get());
      expect(whole.pages).toBeGreaterThan(count / 10);
    });

    it.runIf(process.platform === 'linux')('touches as little for a name, an id or a moment anywhere in it', async () => {
      const rows = [...reader.events({ account, region, limit: 1000 }).rows];
      const [shard = ''] = reader.shards();
      const middle = reader.chain(shard, Math.floor(count / 2), 1).rows[0] as AuditRow;
      const event = JSON.parse(middle.body) as CloudTrailEvent;
      const ask = (more: object): { readonly pages: number; readonly found: number } => {
        const { pages, result } = touched(() => reader.events({ account, region, limit: 50, ...more }));
        return { pages, found: result.rows.length };
      };
      expect(rows).toHaveLength(1000);
      for (const [question, found] of [
        [{ attribute: { key: 'EventName', value: 'CreateKey' } }, 2], [{ attribute: { key: 'EventId', value: event.eventID } }, 1], [{ attribute: { key: 'EventName', value: 'Nothing' } }, 0],
        [{ toMs: middle.timeMs }, 50], [{ fromMs: middle.timeMs, toMs: middle.timeMs, limit: 1 }, 1], [{ toMs: middle.timeMs - 3_600_000 }, 0], [{ fromMs: Date.now() + 3_600_000 }, 0],
      ] as const) {
        const cost = ask(question);
        expect(cost.found).toBe(found);
        expect(cost.pages, JSON.stringify(question)).toBeLessThan(2 * most);
      }
    });
  });

  it('is whole, says strongroom audit verify, and so does the program that needs openssl only', async () => {
    expect(await verified()).toMatchObject({ status: 0, events: count, faults: [], files: { faults: [] } });
    expect(await independent()).toEqual({ status: 0, text: `${logs().length} log files: whole\n` });
  });

  it('names the event that was edited, the one that was removed and the two that were swapped, in the trail', async () => {
    const [edited, removed, one, two] = [Math.floor(count * 0.54321), Math.floor(count * 0.7), Math.floor(count * 0.1), Math.floor(count * 0.9)] as const;
    await room.stop();
    const db = new Database(join(home, 'strongroom.db'));
    const segmentOf = (seq: number): { first_seq: number; links: Buffer } => db.prepare<[number], { first_seq: number; links: Buffer }>('SELECT first_seq, links FROM audit_segment WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1').get(seq)!;
    const change = (seq: number, hand: (rows: AuditRow[], at: number) => void): void => {
      const { first_seq: first, links } = segmentOf(seq);
      const rows = [...readSegment('', links)];
      hand(rows, rows.findIndex((row) => row.seq === seq));
      const bytes = Buffer.concat(rows.map((row) => packSegment([row], row.seq, row.previous, () => Buffer.alloc(32)).bytes));
      db.prepare('UPDATE audit_segment SET links = ? WHERE first_seq = ?').run(bytes, first);
    };
    const linkOf = (seq: number): AuditRow => [...readSegment('', segmentOf(seq).links)].find((row) => row.seq === seq)!;
    const [left, right, before] = [linkOf(one), linkOf(two), linkOf(edited)];
    change(edited, (rows, at) => { rows[at] = { ...before, body: before.body.replace('"Encrypt"', '"Decrypt"') }; });
    change(removed, (rows, at) => { rows.splice(at, 1); });
    change(one, (rows, at) => { rows[at] = right; });
    change(two, (rows, at) => { rows[at] = left; });
    db.close();
    await start();
    const { status, faults, files } = await verified();
    expect(faults.map(({ kind, seq }) => [kind, seq])).toEqual([['moved', one], ['edited', edited], ['removed', removed], ['moved', two]]);
    expect(faults.map(({ eventId }) => eventId)).toEqual([left, before, undefined, right].map((row) => row && (JSON.parse(row.body) as CloudTrailEvent).eventID));
    expect(files.faults).toEqual([]);
    expect(status).toBe(6);
  });

  it('names them in the delivered files, and so does the program that needs openssl only', async () => {
    const [name = ''] = logs();
    const { Records } = JSON.parse(gunzipSync(readFileSync(join(directory, name))).toString('utf8')) as { Records: CloudTrailEvent[] };
    const at = (part: number): CloudTrailEvent => Records[Math.floor(Records.length * part)] as CloudTrailEvent;
    const [edited, removed, one, two] = [at(0.3), at(0.5), at(0.2), at(0.8)];
    const changed = Records.filter((event) => event !== removed).map((event) => (event === edited ? { ...event, eventName: 'Decrypt' } : event === one ? two : event === two ? one : event));
    writeFileSync(join(directory, name), gzipSync(JSON.stringify({ Records: changed })));
    const expected = [['edited', edited], ['removed', removed], ['moved', one], ['moved', two]] as const;
    expect((await verified()).files.faults.map(({ kind, object, eventId }) => [kind, object, eventId])).toEqual(expected.map(([kind, { eventID }]) => [kind, name, eventID]));
    expect(await independent()).toEqual({ status: 1, text: expected.map(([kind, { eventID }]) => `${name}: event ${eventID} was ${kind}\n`).join('') });
  });
}
