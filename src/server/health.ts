/** How the server is, without a secret in it. */
import type { Core, CoreInfo } from '../hsm/core.ts';

export interface Health {
  /** `ok`: serves. `sealed`: waits for its root key. `failed`: the module serves nothing any more. */
  readonly status: 'ok' | 'sealed' | 'failed' | 'stopping';
  readonly version: string;
  readonly library: string;
  readonly module: { readonly state: string; readonly why?: string };
  readonly secretMemory: { readonly kind: string; readonly reason?: string; readonly size: number; readonly used: number; readonly lockLimit: number };
  readonly unseal: string;
  readonly mode: string;
  readonly approvedOnly: boolean;
  /** Where it does not serve: what an operator has to do. */
  readonly hint?: string;
}

export function healthOf(core: Core, stopping: boolean): Health {
  const info = core.describe();
  return {
    status: stopping ? 'stopping' : statusOf(info),
    version: info.version,
    library: info.library,
    module: info.why === '' ? { state: info.state } : { state: info.state, why: info.why },
    secretMemory: {
      kind: info.arenaKind,
      ...(info.arenaReason === '' ? {} : { reason: info.arenaReason }),
      size: info.arenaSize,
      used: info.arenaUsed,
      lockLimit: info.lockLimit,
    },
    unseal: info.unseal,
    mode: info.mode,
    approvedOnly: info.approvedOnly,
  };
}

function statusOf(info: CoreInfo): Health['status'] {
  if (info.state !== 'ready') return 'failed';
  return info.unsealed ? 'ok' : 'sealed';
}
