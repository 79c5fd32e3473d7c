import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { HsmError } from '../../src/hsm/core.ts';
import type { KeyHandle, SessionHandle } from '../../src/hsm/core.ts';
import { canonicalRequest, readClaim } from '../../src/server/sigv4.ts';
import { core } from '../store/core.ts';
import { cases, parsed } from './vectors.ts';
import type { Case } from './vectors.ts';

const folder = mkdtempSync(join(tmpdir(), 'vectors-'));
let service: SessionHandle;
let key: KeyHandle;
beforeAll(() => {
  service = core.serviceSession();
  const { partition } = core.createPartition('111122223333');
  const path = join(folder, 'secret');
  writeFileSync(path, cases[0]![1].context.credentials.secret_access_key);
  key = core.createCredential(service, partition, 'AKIDEXAMPLE', 'arn:aws:iam::111122223333:root', 0, { from: 'file', path }, false).key;
});
afterAll(() => { rmSync(folder, { recursive: true }); });

/** What the core says to a request of the suite, after `change` to what it is shown. */
function verdict(one: Case, form: 'header' | 'query', change: (canonical: Buffer) => Buffer = (same) => same): string {
  const request = parsed(one[`${form}-signed-request`]);
  const claim = readClaim(request);
  try {
    const session = core.verifySigV4(key, {
      date: claim.date, region: claim.region, service: claim.service, timestamp: claim.timestamp, signature: claim.signature,
      canonical: change(Buffer.from(canonicalRequest(request, claim, one.context.normalize), 'latin1')),
      ...(claim.payloadHash === undefined ? {} : { payloadHash: claim.payloadHash }),
      body: request.body, nowMs: 0,
    });
    core.closeSession(session);
    return 'ok';
  } catch (error) {
    if (error instanceof HsmError) return error.code;
    throw error;
  }
}

it.each(cases)('the core accepts %s as it was signed, and no byte changed', (_name, one) => {
  for (const form of ['header', 'query'] as const) {
    expect(verdict(one, form)).toBe('ok');
    const length = canonicalRequest(parsed(one[`${form}-signed-request`]), readClaim(parsed(one[`${form}-signed-request`])), one.context.normalize).length;
    for (let at = 0; at < length; at += 7) {
      expect(verdict(one, form, (canonical) => { canonical[at] = (canonical[at] ?? 0) ^ 1; return canonical; })).toBe('HSM_E_SIGNATURE');
    }
  }
});
