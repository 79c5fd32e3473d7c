import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import type { RecordMac } from '../../src/store/sqlite.ts';

export const core: RecordMac = {
  sha256: (bytes) => Buffer.from(sha256(bytes)),
  recordMac: (table, id, version, body) => Buffer.from(hmac(sha256, Buffer.from('k'), Buffer.concat([Buffer.from(JSON.stringify([table, id, version])), body]))),
  recordCheck: (table, id, version, body, mac) => core.recordMac(table, id, version, body).equals(mac),
};
