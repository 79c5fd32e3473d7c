/** From a proxy's access key to its handle in the core, kept while its record does not change. */
import { HsmError } from '../../hsm/core.ts';
import type { Core, KeyHandle, SessionHandle } from '../../hsm/core.ts';
import type { Row, Store } from '../../store/store.ts';
import type { Accounts } from '../accounts.ts';
import type { XksCredentialRecord } from './records.ts';

interface Held {
  readonly row: Row<XksCredentialRecord>;
  readonly key: KeyHandle;
}

interface Parts {
  readonly core: Core;
  readonly store: Store;
  readonly accounts: Accounts;
  readonly session: SessionHandle;
}

const most = 1000;

export class XksCredentials {
  readonly #parts: Parts;
  readonly #held = new Map<string, Held>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** undefined: the proxy has none of this id. */
  async of(prefix: string, id: string): Promise<KeyHandle | undefined> {
    const { store } = this.#parts;
    if (!/^[A-Z2-7]{20,30}$/.test(id)) return undefined;
    const row = store.peek<XksCredentialRecord>('xks-credential', id) ?? (await store.get<XksCredentialRecord>('xks-credential', id));
    if (row?.sealed === undefined || row.body.prefix !== prefix) {
      this.#drop(id);
      return undefined;
    }
    return this.#current(row) ?? (await this.#open(row, row.sealed));
  }

  #current(row: Row<XksCredentialRecord>): KeyHandle | undefined {
    const known = this.#held.get(row.id);
    return known?.row.version === row.version && known.row.createdMs === row.createdMs ? known.key : undefined;
  }

  async #open(row: Row<XksCredentialRecord>, sealed: Buffer): Promise<KeyHandle | undefined> {
    const { core, accounts, session } = this.#parts;
    const partition = await accounts.partition(row.account);
    if (partition === undefined) return undefined;
    // Somebody may have opened it while we waited.
    const known = this.#current(row);
    if (known !== undefined) return known;
    this.#drop(row.id);
    const key = core.openCredential(session, partition, row.id, sealed);
    if (this.#held.size >= most) {
      const [oldest] = this.#held.keys();
      if (oldest !== undefined) this.#drop(oldest);
    }
    this.#held.set(row.id, { row, key });
    return key;
  }

  #drop(id: string): void {
    const known = this.#held.get(id);
    if (known === undefined) return;
    this.#held.delete(id);
    try {
      this.#parts.core.closeCredential(this.#parts.session, known.key);
    } catch (error) {
      // Its partition was closed with the account, and the handle with it.
      if (!(error instanceof HsmError) || error.code !== 'HSM_E_HANDLE') throw error;
    }
  }
}
