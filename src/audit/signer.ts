/**
 * The audit key: RSA-2048, made once, in a partition of its own, so that it outlives every account. It
 * signs digests of delivered log files; whoever has its public key can check them without the server.
 */
import type { Core, KeyHandle, SessionHandle } from '../hsm/core.ts';
import { HsmError } from '../hsm/core.ts';
import { ATTR, CLASS, KEY, MECH } from '../hsm/numbers.ts';
import { StoreError } from '../store/store.ts';
import type { Row, Store } from '../store/store.ts';

/** Signs and checks; what delivery and verification need of the key. */
export interface AuditSigner {
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Buffer;
  /** SHA-256 of the public key, in hex. */
  readonly fingerprint: string;
  /** RSASSA-PKCS1-v1_5 with SHA-256. */
  sign(text: string): Promise<Buffer>;
  verify(text: string, signature: Uint8Array): boolean;
  /** SHA-256 in hex: of whole log files, which takes the core a tenth of the time. */
  hash(content: string | Uint8Array): string;
}

interface Kept {
  readonly kind: 'audit-key';
}

const partitionName = 'strongroom-audit';
const partitionRow = 'audit-partition';
const keyRow = 'audit-key';
const binding = { objectId: 'audit', materialId: 'audit' } as const;

export class CoreSigner implements AuditSigner {
  readonly publicKey: Buffer;
  readonly fingerprint: string;
  readonly #core: Core;
  readonly #session: SessionHandle;
  readonly #key: KeyHandle;
  /** A private key only signs: its public half is an object of its own. */
  readonly #checker: KeyHandle;

  private constructor(core: Core, session: SessionHandle, key: KeyHandle) {
    this.#core = core;
    this.#session = session;
    this.#key = key;
    this.publicKey = core.publicKey(session, key);
    this.#checker = core.create(session, 0, [[ATTR.CLASS, CLASS.PUBLIC], [ATTR.KEY_TYPE, KEY.RSA], [ATTR.VALUE, this.publicKey], [ATTR.VERIFY, true]]);
    this.fingerprint = core.sha256(this.publicKey).toString('hex');
  }

  /** `service`: the service's own session. Makes the key where there is none. */
  static async open(core: Core, store: Store, service: SessionHandle): Promise<CoreSigner> {
    const [sealedPartition, sealedKey] = (await kept(store)) ?? (await make(core, store, service));
    const partition = core.openPartition(partitionName, sealedPartition);
    const key = core.open(service, partition, binding, sealedKey);
    return new CoreSigner(core, core.openSession(partition), key);
  }

  sign(text: string): Promise<Buffer> {
    return this.#core.signSlow(this.#session, this.#key, MECH.SHA256_RSA_PKCS, undefined, Buffer.from(text, 'utf8'));
  }

  verify(text: string, signature: Uint8Array): boolean {
    try {
      return this.#core.verify(this.#session, this.#checker, MECH.SHA256_RSA_PKCS, undefined, Buffer.from(text, 'utf8'), signature);
    } catch (error) {
      if (error instanceof HsmError && error.code.startsWith('HSM_E_SIGNATURE')) return false;
      throw error;
    }
  }

  hash(content: string | Uint8Array): string {
    return this.#core.sha256(typeof content === 'string' ? Buffer.from(content, 'utf8') : content).toString('hex');
  }

  close(): void {
    this.#core.closeSession(this.#session);
  }
}

async function kept(store: Store): Promise<readonly [partition: Buffer, key: Buffer] | undefined> {
  const rows = [await store.get('setting', partitionRow), await store.get('setting', keyRow)] as readonly (Row<Kept> | undefined)[];
  const [partition, key] = rows.map((row) => row?.sealed);
  return partition === undefined || key === undefined ? undefined : [partition, key];
}

async function make(core: Core, store: Store, service: SessionHandle): Promise<readonly [partition: Buffer, key: Buffer]> {
  const { sealed, partition } = core.createPartition(partitionName);
  try {
    const made = await core.generatePair(service, partition, { type: KEY.RSA, param: 2048 }, [[ATTR.PRIVATE, false], [ATTR.SENSITIVE, true], [ATTR.EXTRACTABLE, false], [ATTR.SIGN, true]]);
    const key = core.seal(service, made, binding);
    core.destroy(service, made);
    await store.tx(async (tx) => {
      tx.insert<Kept>('setting', { id: partitionRow, account: '', region: '', body: { kind: 'audit-key' }, sealed });
      tx.insert<Kept>('setting', { id: keyRow, account: '', region: '', body: { kind: 'audit-key' }, sealed: key });
    });
    return [sealed, key];
  } catch (error) {
    // Somebody else made it meanwhile: theirs is the key.
    const theirs = error instanceof StoreError && error.code === 'Exists' ? await kept(store) : undefined;
    if (theirs === undefined) throw error;
    return theirs;
  } finally {
    core.closePartition(partition);
  }
}

/** A public key as PEM text. */
export function pemOf(publicKey: Buffer): string {
  return `-----BEGIN PUBLIC KEY-----\n${publicKey.toString('base64').replaceAll(/.{1,64}/g, '$&\n')}-----END PUBLIC KEY-----\n`;
}
