import Database from 'better-sqlite3';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CloudTrailEvent } from '../../src/audit/event.ts';
import { lookupEvents } from '../../src/audit/lookup.ts';
import { ChainRecorder } from '../../src/audit/recorder.ts';
import type { Entry } from '../../src/audit/recorder.ts';
import { eventsAfter, lastEvents } from '../../src/audit/tail.ts';
import { verifyTrail } from '../../src/audit/verify.ts';
import type { Finding } from '../../src/audit/verify.ts';
import { packSegment, readSegment } from '../../src/store/segment.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import type { SqliteStore } from '../../src/store/sqlite.ts';
import type { AuditRow } from '../../src/store/store.ts';
import { core } from '../store/core.ts';

const account = '111122223333';
const region = 'us-east-1';
const actor = { account, arn: `arn:aws:iam::${account}:user/ann`, principalId: 'AIDAEXAMPLE', accessKeyId: 'AKIAEXAMPLE', userName: 'ann' };

let home: string;
let store: SqliteStore;
let recorder: ChainRecorder;
let now = 1_700_000_000_000;

function entry(more: Partial<Entry> = {}): Entry {
  return {
    source: 'kms.amazonaws.com', name: 'Encrypt', readOnly: true, region, requestId: '11111111-2222-3333-4444-555555555555', sourceIp: '127.0.0.1', userAgent: 'test "quoted"',
    actor, recipients: [account], request: { keyId: 'k', encryptionContext: { a: 'ü' } }, resources: [{ accountId: account, type: 'AWS::KMS::Key', ARN: 'arn:aws:kms:us-east-1:111122223333:key/k' }], ...more,
  };
}
async function write(count: number, more: (i: number) => Partial<Entry> = () => ({})): Promise<string[]> {
  const recorded = Array.from({ length: count }, (_, i) => recorder.record(entry(more(i))));
  await Promise.all(recorded.map((one) => one.durable));
  return recorded.map((one) => one.eventId);
}
async function start(): Promise<void> {
  store = await openSqlite({ home, core, clock: () => now });
  recorder = new ChainRecorder(store);
}
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'trail-'));
  now = 1_700_000_000_000;
  await start();
});
afterEach(async () => {
  await store.close();
  rmSync(home, { recursive: true });
});

/** Opens the file behind the store's back. */
async function tamper(hand: (db: Database.Database) => void): Promise<readonly Finding[]> {
  await store.close();
  const db = new Database(join(home, 'strongroom.db'));
  hand(db);
  db.close();
  await start();
  return (await verifyTrail(store, core)).findings;
}
interface Lying { first_seq: number; links: Buffer }
const segments = (db: Database.Database): Lying[] => db.prepare<[], Lying>('SELECT first_seq, links FROM audit_segment ORDER BY first_seq').all();
const rewrite = (db: Database.Database, change: (rows: AuditRow[]) => AuditRow[], seq: number): void => {
  const segment = segments(db).filter((one) => one.first_seq <= seq).at(-1)!;
  const rows = change([...readSegment('x', segment.links)]);
  const bytes = Buffer.concat(rows.map((row) => {
    const one = packSegment([row], row.seq, row.previous, (bytes) => core.sha256(bytes)).bytes;
    return one;
  }));
  db.prepare('UPDATE audit_segment SET links = ? WHERE first_seq = ?').run(bytes, segment.first_seq);
};
/** Two links in each other's place. */
const swap = (db: Database.Database, a: number, b: number): void => {
  const all = segments(db).map(({ first_seq: first, links }) => ({ first, rows: [...readSegment('x', links)] }));
  const of = (seq: number): { first: number; rows: AuditRow[] } => all.filter(({ first }) => first <= seq).at(-1)!;
  const [one, two] = [of(a), of(b)];
  const [left, right] = [one.rows.findIndex((row) => row.seq === a), two.rows.findIndex((row) => row.seq === b)];
  const [x, y] = [one.rows[left]!, two.rows[right]!];
  one.rows[left] = y;
  two.rows[right] = x;
  for (const { first, rows } of new Set([one, two])) rewrite(db, () => rows, first);
};

describe('an event', () => {
  it('has CloudTrail\'s shape', async () => {
    const [id] = await write(1, () => ({ error: { code: 'AccessDeniedException', message: 'no "way"' }, extra: { keyMaterialId: 'm' } }));
    const [shard] = await store.shards();
    const event = JSON.parse((await store.chain(shard!, 1, 1)).rows[0]!.body) as CloudTrailEvent;
    expect(event).toEqual({
      eventVersion: '1.11',
      userIdentity: { type: 'IAMUser', principalId: 'AIDAEXAMPLE', arn: actor.arn, accountId: account, accessKeyId: 'AKIAEXAMPLE', userName: 'ann' },
      eventTime: '2023-11-14T22:13:20Z', eventSource: 'kms.amazonaws.com', eventName: 'Encrypt', awsRegion: region, sourceIPAddress: '127.0.0.1', userAgent: 'test "quoted"',
      errorCode: 'AccessDeniedException', errorMessage: 'no "way"', requestParameters: { keyId: 'k', encryptionContext: { a: 'ü' } }, responseElements: null,
      additionalEventData: { keyMaterialId: 'm' }, requestID: '11111111-2222-3333-4444-555555555555', eventID: id, readOnly: true,
      resources: [{ accountId: account, type: 'AWS::KMS::Key', ARN: 'arn:aws:kms:us-east-1:111122223333:key/k' }],
      eventType: 'AwsApiCall', managementEvent: true, recipientAccountId: account, eventCategory: 'Management',
    });
  });

  it('that two accounts see is in both trails, tied by one shared id', async () => {
    await write(1, () => ({ recipients: [account, '999988887777'] }));
    const seen = await Promise.all([account, '999988887777'].map(async (one) => (await lookupEvents(store, one, region, {})).Events));
    const events = seen.map((list) => JSON.parse(list[0]!.CloudTrailEvent) as CloudTrailEvent);
    expect(events[0]!.sharedEventID).toBe(events[1]!.sharedEventID);
    expect(events[0]!.eventID).not.toBe(events[1]!.eventID);
    expect(events.map((event) => event.recipientAccountId)).toEqual([account, '999988887777']);
  });
});

describe('the chain', () => {
  let written: string;
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'trail-'));
    now = 1_700_000_000_000;
    await start();
    for (const count of [300, 300, 3]) await write(count);
    await store.close();
    written = home;
  });
  afterAll(() => { rmSync(written, { recursive: true }); });
  beforeEach(async () => {
    await store.close();
    cpSync(written, home, { recursive: true });
    await start();
  });

  it('holds, over restarts', async () => {
    await store.close();
    await start();
    await write(5);
    const verdict = await verifyTrail(store, core);
    expect(verdict).toMatchObject({ events: 608, findings: [], heads: [{ seq: 608 }] });
  });

  it('names an edited event', async () => {
    const [found, ...more] = await tamper((db) => { rewrite(db, (rows) => rows.map((row) => (row.seq === 42 ? { ...row, body: row.body.replace('Encrypt', 'Decrypt') } : row)), 42); });
    expect(more).toEqual([]);
    expect(found).toMatchObject({ kind: 'edited', seq: 42, sentence: 'event 42 was edited' });
    expect(found!.eventId).toMatch(/^[0-9a-f-]{36}$/);
  });
  it('names the time of an event that was changed, the first and the last of a segment', async () => {
    const findings = await tamper((db) => {
      for (const seq of [1, 300, 301]) rewrite(db, (rows) => rows.map((row) => (row.seq === seq ? { ...row, timeMs: 1 } : row)), seq);
    });
    expect(findings.map((one) => [one.kind, one.seq])).toEqual([['edited', 1], ['edited', 300], ['edited', 301]]);
  });
  it('names a removed event', async () => {
    const findings = await tamper((db) => { rewrite(db, (rows) => rows.filter((row) => row.seq !== 77), 77); });
    expect(findings.map((one) => [one.kind, one.seq])).toEqual([['removed', 77]]);
  });
  it('names every event of a removed commit', async () => {
    const findings = await tamper((db) => { db.prepare('DELETE FROM audit_segment WHERE first_seq = 257').run(); });
    expect(findings.length).toBe(44);
    expect(findings.map((one) => one.kind)).toEqual(Array(44).fill('removed'));
  });
  it('names swapped events', async () => {
    const findings = await tamper((db) => {
      rewrite(db, (rows) => {
        const [a, b] = [rows[9]!, rows[19]!];
        rows[9] = b;
        rows[19] = a;
        return rows;
      }, 10);
    });
    expect(findings.map((one) => [one.kind, one.seq, one.sentence])).toEqual([
      ['moved', 10, 'event 10 lies where event 20 belongs: they were swapped'], ['moved', 20, 'event 20 lies where event 10 belongs: they were swapped'],
    ]);
    for (const one of findings) expect(one.eventId).toMatch(/^[0-9a-f-]{36}$/);
  });
  it.each([[10, 11], [1, 2], [1, 256], [10, 300], [255, 603]])('names events %i and %i that were swapped', async (a, b) => {
    const findings = await tamper((db) => { swap(db, a, b); });
    expect(findings.map((one) => [one.kind, one.seq])).toEqual([['moved', a], ['moved', b]]);
  });
  it('names what was edited among what was swapped', async () => {
    const findings = await tamper((db) => {
      swap(db, 10, 300);
      swap(db, 40, 41);
      for (const seq of [9, 10, 11, 40, 301]) rewrite(db, (rows) => rows.map((row) => (row.seq === seq ? { ...row, body: row.body.replace('Encrypt', 'Decrypt') } : row)), seq === 10 ? 300 : seq);
      rewrite(db, (rows) => rows.filter((row) => row.seq !== 100), 100);
    });
    expect(findings.map((one) => [one.kind, one.seq])).toEqual([
      ['edited', 9], ['moved', 10], ['edited', 10], ['edited', 11], ['moved', 40], ['moved', 41], ['edited', 40], ['removed', 100], ['moved', 300], ['edited', 301],
    ].sort((x, y) => (x[1] as number) - (y[1] as number)));
  });
  it('names an event that was moved, wherever to', async () => {
    const findings = await tamper((db) => {
      rewrite(db, (rows) => [rows[1]!, rows[0]!, rows[50]!, ...rows.slice(2, 50), ...rows.slice(51)], 10);
      rewrite(db, (rows) => [...rows.slice(1, 40), rows[0]!, ...rows.slice(40)], 257);
    });
    expect(findings.map((one) => [one.kind, one.seq, one.sentence])).toEqual([
      ['moved', 1, 'event 1 lies where event 2 belongs: they were swapped'], ['moved', 2, 'event 2 lies where event 1 belongs: they were swapped'],
      ['moved', 51, 'event 51 lies behind event 1: it was moved'], ['moved', 257, 'event 257 lies behind event 296: it was moved'],
    ]);
  });
  it('names commits that changed places', async () => {
    const findings = await tamper((db) => {
      const [a, b] = segments(db);
      db.prepare('UPDATE audit_segment SET links = ? WHERE first_seq = ?').run(b!.links, a!.first_seq);
      db.prepare('UPDATE audit_segment SET links = ? WHERE first_seq = ?').run(a!.links, b!.first_seq);
    });
    expect(findings.map((one) => [one.kind, one.seq])).toEqual(Array.from({ length: 256 }, (_, i) => ['moved', i + 1]));
  });
  it('names an event that was given another number', async () => {
    const findings = await tamper((db) => { rewrite(db, (rows) => rows.map((row) => (row.seq === 42 ? { ...row, seq: 99 } : row)), 42); });
    expect(findings.map((one) => [one.kind, one.seq])).toEqual([['edited', 42]]);
  });
  it('names an event that is there twice', async () => {
    const findings = await tamper((db) => { rewrite(db, (rows) => [...rows.slice(0, 60), rows[20]!, ...rows.slice(60)], 42); });
    expect(findings.map((one) => [one.kind, one.seq])).toEqual([['repeated', 21]]);
  });
  it('names contents that changed places', async () => {
    const findings = await tamper((db) => {
      rewrite(db, (rows) => rows.map((row) => ({ ...row, body: row.seq === 10 ? rows[19]!.body : row.seq === 20 ? rows[9]!.body : row.body })), 10);
    });
    expect(findings.map((one) => [one.kind, one.seq])).toEqual([['edited', 10], ['edited', 20]]);
  });
  it('names a tail that was cut off', async () => {
    const findings = await tamper((db) => { db.prepare('DELETE FROM audit_segment WHERE first_seq > 600').run(); });
    expect(findings.map((one) => [one.kind, one.seq, one.sentence])).toEqual([['cut', 601, 'events 601 to 603 were cut off the end']]);
  });
  it('names a chain that was computed anew', async () => {
    const findings = await tamper((db) => {
      let previous: Uint8Array = Buffer.alloc(32);
      for (const segment of segments(db)) {
        const rows = [...readSegment('x', segment.links)].map((row) => (row.seq === 5 ? { ...row, body: row.body.replace('Encrypt', 'Decrypt') } : row));
        const made = packSegment(rows, segment.first_seq, previous, (bytes) => core.sha256(bytes));
        previous = made.hash;
        db.prepare('UPDATE audit_segment SET links = ? WHERE first_seq = ?').run(made.bytes, segment.first_seq);
      }
    });
    expect(findings.map((one) => one.kind)).toEqual(['recomputed']);
  });
  it('names a head that was moved, and then nothing is appended', async () => {
    const findings = await tamper((db) => { db.prepare('UPDATE audit_head SET seq = 600').run(); });
    expect(findings.map((one) => one.kind)).toEqual(['head']);
    await expect(write(1)).rejects.toMatchObject({ code: 'Integrity' });
  });
  it('names a head that is gone', async () => {
    const findings = await tamper((db) => { db.prepare('DELETE FROM audit_head').run(); });
    expect(findings.map((one) => one.kind)).toEqual(['head']);
  });
  it('a segment cut in the middle names what is missing', async () => {
    const findings = await tamper((db) => {
      const last = segments(db).at(-1)!;
      db.prepare('UPDATE audit_segment SET links = ? WHERE first_seq = ?').run(last.links.subarray(0, last.links.length - 10), last.first_seq);
    });
    expect(findings.map((one) => [one.kind, one.seq])).toEqual([['cut', 603]]);
  });
});

describe('looking events up', () => {
  it('finds what lies in a range of time, whatever the clock did', async () => {
    const start = now;
    const written: number[] = [];
    for (let i = 0; i < 90; i++) {
      // Mostly forward; now and then an hour back, or a day ahead.
      now += i % 17 === 16 ? -3_600_000 : i % 41 === 40 ? 86_400_000 : 60_000;
      const count = 1 + ((i * 7) % 19);
      await write(count);
      written.push(...Array<number>(count).fill(now));
    }
    expect(written.length).toBeGreaterThan(700);
    for (let i = 0; i < 60; i++) {
      const from = start + ((i * 7919) % 200) * 60_000;
      const to = from + ((i * 104_729) % 100) * 60_000 * (i % 5 === 0 ? 20 : 1);
      const range = { StartTime: Math.floor(from / 1000), EndTime: Math.floor(to / 1000) };
      let seen = 0;
      let token: string | undefined;
      do {
        const page = await lookupEvents(store, account, region, { ...range, ...(token === undefined ? {} : { NextToken: token }) });
        for (const event of page.Events) expect(event.EventTime >= range.StartTime && event.EventTime <= range.EndTime).toBe(true);
        seen += page.Events.length;
        token = page.NextToken;
      } while (token !== undefined);
      expect(seen).toBe(written.filter((time) => time >= from && time <= to).length);
    }
  });
  it('pages newest first, each event once', async () => {
    for (let i = 0; i < 12; i++) {
      now += 1000;
      await write(10);
    }
    const seen: string[] = [];
    const times: number[] = [];
    let token: string | undefined;
    do {
      const page = await lookupEvents(store, account, region, { MaxResults: 17, ...(token === undefined ? {} : { NextToken: token }) });
      seen.push(...page.Events.map((event) => event.EventId));
      times.push(...page.Events.map((event) => event.EventTime));
      token = page.NextToken;
    } while (token !== undefined);
    expect(new Set(seen).size).toBe(120);
    expect(times).toEqual([...times].sort((a, b) => b - a));
  });

  it('finds by each attribute, and nothing of another account or Region', async () => {
    const ids = await write(4, (i) => [{}, { name: 'CreateKey', readOnly: false, resources: [] }, { actor: { ...actor, userName: 'bob', accessKeyId: 'AKIAOTHER' } }, { region: 'eu-west-1' }][i]!);
    const find = async (key: string, value: string): Promise<string[]> => (await lookupEvents(store, account, region, { LookupAttributes: [{ AttributeKey: key, AttributeValue: value }] })).Events.map((event) => event.EventId).sort();
    expect(await find('EventName', 'CreateKey')).toEqual([ids[1]]);
    expect(await find('ReadOnly', 'false')).toEqual([ids[1]]);
    expect(await find('Username', 'bob')).toEqual([ids[2]]);
    expect(await find('AccessKeyId', 'AKIAOTHER')).toEqual([ids[2]]);
    expect(await find('EventId', ids[0]!)).toEqual([ids[0]]);
    expect(await find('EventId', ids[3]!)).toEqual([]);
    expect(await find('ResourceName', 'arn:aws:kms:us-east-1:111122223333:key/k')).toEqual([ids[0], ids[2]].sort());
    expect(await find('ResourceType', 'AWS::KMS::Key')).toEqual([ids[0], ids[2]].sort());
    expect(await find('EventSource', 'kms.amazonaws.com')).toEqual([ids[0], ids[1], ids[2]].sort());
    expect((await lookupEvents(store, '000000000001', region, {})).Events).toEqual([]);
  });

  it('keeps to the time range', async () => {
    await write(1);
    now += 10_000;
    const [id] = await write(1);
    const range = { StartTime: now / 1000 - 5, EndTime: now / 1000 };
    expect((await lookupEvents(store, account, region, range)).Events.map((event) => event.EventId)).toEqual([id]);
  });

  it.each([
    [{ MaxResults: 51 }, 'InvalidMaxResultsException'], [{ MaxResults: 0 }, 'InvalidMaxResultsException'], [{ MaxResults: 'x' }, 'SerializationException'],
    [{ StartTime: 2, EndTime: 1 }, 'InvalidTimeRangeException'], [{ NextToken: 'x' }, 'InvalidNextTokenException'],
    [{ LookupAttributes: [{}, {}] }, 'InvalidLookupAttributesException'], [{ LookupAttributes: [{ AttributeKey: 'No', AttributeValue: 'x' }] }, 'ValidationException'],
  ])('refuses %j', async (input, code) => {
    await expect(lookupEvents(store, account, region, input)).rejects.toMatchObject({ code });
  });

  it('a token does not serve another query', async () => {
    await write(3);
    const { NextToken } = await lookupEvents(store, account, region, { MaxResults: 1 });
    await expect(lookupEvents(store, account, region, { NextToken, LookupAttributes: [{ AttributeKey: 'EventName', AttributeValue: 'Encrypt' }] })).rejects.toMatchObject({ code: 'InvalidNextTokenException' });
  });
});

describe('the tail', () => {
  it('shows the last events, then what comes', async () => {
    await write(30);
    const last = await lastEvents(store, 3);
    expect(last.rows.map((row) => row.seq)).toEqual([28, 29, 30]);
    expect((await eventsAfter(store, last.next))?.rows).toEqual([]);
    await write(2);
    const more = await eventsAfter(store, last.next);
    expect(more?.rows.map((row) => row.seq)).toEqual([31, 32]);
    expect((await eventsAfter(store, more!.next))?.rows).toEqual([]);
    expect(await eventsAfter(store, 'x')).toBeUndefined();
  });

  it('of one account shows that account alone', async () => {
    await write(1200, (i) => ({ recipients: [i % 400 === 0 ? '999988887777' : account] }));
    expect((await lastEvents(store, 10, '999988887777')).rows.map((row) => row.seq)).toEqual([1, 401, 801]);
  });
});
