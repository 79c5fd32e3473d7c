/** What the operator can ask of delivered log files: deliver now, check them, the public key. */
import type { Delivery } from '../audit/delivery.ts';
import { verifyFiles } from '../audit/files.ts';
import { pemOf } from '../audit/signer.ts';
import type { AuditSigner } from '../audit/signer.ts';
import type { Store } from '../store/store.ts';
import { AdminError } from './accounts.ts';
import type { AdminAnswer, AdminCall, AdminRoute } from './admin.ts';

export interface TrailContext {
  readonly store: Store;
  readonly signer: () => Promise<AuditSigner>;
  readonly delivery: Delivery | undefined;
}

export function trailRoutes(context: TrailContext): readonly AdminRoute[] {
  return [
    { method: 'POST', path: '/v1/audit/deliver', run: (call) => deliver(context, call) },
    { method: 'POST', path: '/v1/audit/files', run: (call) => check(context, call) },
    { method: 'GET', path: '/v1/audit/key', run: () => publicKey(context) },
  ];
}

async function deliver({ delivery }: TrailContext, { body }: AdminCall): Promise<AdminAnswer> {
  if (delivery === undefined) throw new AdminError(409, 'log files are delivered nowhere: STRONGROOM_TRAIL_DIR is not set');
  await delivery.run(body['digest'] === true);
  return { body: {} };
}

async function check({ store, signer, delivery }: TrailContext, { body }: AdminCall): Promise<AdminAnswer> {
  const { directory } = body;
  if (typeof directory !== 'string' || !directory.startsWith('/')) throw new AdminError(400, 'directory is an absolute path');
  const by = await signer();
  const work = () => verifyFiles(store, by, directory);
  const { logs, digests, findings } = await (delivery === undefined ? work() : delivery.between(work));
  return { body: { logs, digests, faults: findings.map(({ kind, object, sentence, eventId }) => ({ kind, object, what: sentence, ...(eventId === undefined ? {} : { eventId }) })) } };
}

async function publicKey({ signer }: TrailContext): Promise<AdminAnswer> {
  const { publicKey: key, fingerprint } = await signer();
  return { body: { fingerprint, pem: pemOf(key) } };
}
