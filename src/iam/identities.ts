/** A caller's own side: the policies that speak for it, and whether a principal that a policy names exists. */
import type { Store } from '../store/store.ts';
import type { Policy } from './policy.ts';
import type { Principal, PrincipalEntry } from './principal.ts';

export interface Identity {
  readonly policies: readonly Policy[];
  readonly boundary?: Policy;
  /** Each must allow. */
  readonly session?: readonly Policy[];
}

export interface Identities {
  /** The root of an account needs no policy: callers do not ask for it. */
  of(principal: Principal, accessKeyId: string): Promise<Identity> | Identity;
  exists(entry: PrincipalEntry): Promise<boolean> | boolean;
}

const nothing: Identity = Object.freeze({ policies: Object.freeze([]) });

/** Accounts as the store has them, and no users yet: a principal exists when its row does. */
export class StoredIdentities implements Identities {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  of(): Identity {
    return nothing;
  }

  async exists(entry: PrincipalEntry): Promise<boolean> {
    switch (entry.names) {
      case 'account': return (await this.#store.get('account', entry.account)) !== undefined;
      case 'arn': return (await this.#store.get('principal', entry.arn)) !== undefined;
      default: return true;
    }
  }
}
