/** A long trail: pages of look-ups cost the same at its ends, and one altered event in it is named. */
import Database from 'better-sqlite3';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { lookupEvents } from '../../src/audit/lookup.ts';
import { ChainRecorder } from '../../src/audit/recorder.ts';
import { verifyTrail } from '../../src/audit/verify.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import { core } from '../store/core.ts';

const account = '111122223333';
const count = 100_000;

it(`${count} events`, async () => {
  const home = mkdtempSync(join(tmpdir(), 'trail-'));
  let store = await openSqlite({ home, core });
  const recorder = new ChainRecorder(store);
  for (let i = 0; i < count; i += 1000) {
    await Promise.all(Array.from({ length: 1000 }, (_, n) => recorder.record({
      source: 'kms.amazonaws.com', name: (i + n) % 50_000 === 7 ? 'CreateKey' : 'Encrypt', readOnly: true, region: 'us-east-1', requestId: 'r', sourceIp: '127.0.0.1', userAgent: 'test',
      actor: { account, arn: `arn:aws:iam::${account}:root`, principalId: account, accessKeyId: 'AKIA' }, recipients: [account], request: { n: i + n },
    }).durable));
  }
  let seen = 0;
  let token: string | undefined;
  do {
    const page = await lookupEvents(store, account, 'us-east-1', token === undefined ? {} : { NextToken: token });
    seen += page.Events.length;
    token = page.NextToken;
  } while (token !== undefined);
  expect(seen).toBe(count);
  const rare = await lookupEvents(store, account, 'us-east-1', { LookupAttributes: [{ AttributeKey: 'EventName', AttributeValue: 'CreateKey' }] });
  expect(rare.Events.length).toBe(2);
  expect(await verifyTrail(store, core)).toMatchObject({ events: count, findings: [] });

  await store.close();
  const db = new Database(join(home, 'strongroom.db'));
  const segment = db.prepare<[], { first_seq: number; links: Buffer }>('SELECT first_seq, links FROM audit_segment WHERE first_seq <= 54321 ORDER BY first_seq DESC LIMIT 1').get()!;
  const at = segment.links.indexOf('"n":54321}');
  segment.links.write('2', at + 4);
  db.prepare('UPDATE audit_segment SET links = ? WHERE first_seq = ?').run(segment.links, segment.first_seq);
  db.close();
  store = await openSqlite({ home, core });
  const { findings } = await verifyTrail(store, core);
  expect(findings.map(({ kind, seq }) => [kind, seq])).toEqual([['edited', 54322]]);
  await store.close();
  rmSync(home, { recursive: true });
}, 300_000);
