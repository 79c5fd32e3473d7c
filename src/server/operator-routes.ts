/** The operator's part of the admin socket: making, opening, closing the root key, and its unseal slots. */
import { readFileSync } from 'node:fs';
import type { Core, Payload } from '../hsm/core.ts';
import type { RootSlot, SlotSource } from '../hsm/root.ts';
import { AdminError } from './accounts.ts';
import type { AdminAnswer, AdminCall, AdminRoute } from './admin.ts';
import type { Approvals } from './approvals.ts';
import type { Holders } from './holders.ts';
import type { RootKeeper } from './root-keeper.ts';
import type { SelfTests } from './self-tests.ts';

export interface OperatorContext {
  readonly core: Core;
  readonly keeper: RootKeeper;
  readonly approvals: Approvals;
  readonly holders: Holders;
  readonly selfTests: SelfTests;
}

export function operatorRoutes(context: OperatorContext): readonly AdminRoute[] {
  const { keeper, approvals, holders, selfTests } = context;
  return [
    { method: 'GET', path: '/v1/self-tests', run: () => ({ body: { tests: context.core.selfTests(), last: selfTests.last } }) },
    { method: 'POST', path: '/v1/self-tests', run: async ({ body: { name } }) => {
      if (name !== undefined && (typeof name !== 'string' || !context.core.selfTests().includes(name))) throw new AdminError(404, 'there is no such self-test');
      return { body: { ...(await selfTests.run(name)) } };
    } },
    { method: 'GET', path: '/v1/operator', run: () => status(context) },
    { method: 'POST', path: '/v1/operator/init', run: (call) => init(context, call) },
    { method: 'POST', path: '/v1/operator/unseal', run: (call) => unseal(context, call) },
    { method: 'POST', path: '/v1/operator/seal', run: (call) => {
      only(call, []);
      keeper.seal();
      return status(context);
    } },
    { method: 'POST', path: '/v1/operator/share', raw: true, run: ({ bytes }) => share(context, bytes) },
    { method: 'DELETE', path: '/v1/operator/share', run: () => {
      keeper.dropShares();
      return { body: {} };
    } },
    { method: 'POST', path: '/v1/operator/approvals/:approval', raw: true, run: ({ path, bytes }) => approvals.approve(path['approval'] ?? '', bytes) },
    { method: 'POST', path: '/v1/operator/rekey', run: ({ body }) => {
      const source = sourceOf(body);
      if (source.how === 'held') throw new AdminError(400, 'a slot that somebody else holds is added with /v1/operator/slots');
      return approvals.ask(`new ${nameOf(source)} in place of the old`, () => rekey(context, source));
    } },
    { method: 'POST', path: '/v1/operator/slots', run: ({ body }) => approvals.ask('another unseal slot', async () => {
      if (body['note'] === undefined) return shown(await keeper.add(sourceOf(body)));
      await keeper.held(await holders.take(record(body['note'])));
      return status(context);
    }) },
    { method: 'DELETE', path: '/v1/operator/slots/:index', run: ({ path: { index = '' } }) => {
      if (!/^\d{1,2}$/.test(index)) throw new AdminError(400, 'a slot is named by its number');
      return approvals.ask(`unseal slot ${index} removed`, async () => {
        await keeper.remove(Number(index));
        return await status(context);
      });
    } },
    { method: 'POST', path: '/v1/operator/backup', run: ({ body }) => {
      const [path, passphraseFile] = [file(body, 'path'), file(body, 'passphraseFile')];
      return approvals.ask(`a backup of the root key in ${path}`, async () => {
        await keeper.backup(path, passphraseFile);
        return { body: { path } };
      });
    } },
    { method: 'POST', path: '/v1/operator/restore', run: async ({ body }) => {
      await keeper.restore(readBackup(file(body, 'path')), file(body, 'passphraseFile'));
      return await status(context);
    } },
  ];
}

async function status({ core, keeper, approvals, holders }: OperatorContext): Promise<AdminAnswer> {
  const slots = await keeper.slots();
  const { unsealed, mode, unseal, state } = core.describe();
  return { body: {
    initialised: slots.length > 0, sealed: !unsealed, module: state, ...(unsealed ? { mode, openedBy: unseal } : {}),
    slots: slots.map((slot, index) => ({ index, ...told(slot, holders) })), approvals: approvals.list(),
  } };
}

function told(slot: RootSlot, holders: Holders): Readonly<Record<string, unknown>> {
  return slot.how === 'held' ? { how: slot.how, by: holders.nameOf(slot.note) } : { ...slot };
}

async function init({ keeper }: OperatorContext, { body }: AdminCall): Promise<AdminAnswer> {
  const source = sourceOf(body);
  if (source.how === 'held') throw new AdminError(400, 'begin with a key file, a passphrase or shares');
  return shown(await keeper.make(source));
}

async function unseal(context: OperatorContext, { body }: AdminCall): Promise<AdminAnswer> {
  only({ body }, ['keyFile', 'passphraseFile']);
  const source = fileSource(body);
  await context.keeper.open(source);
  return await status(context);
}

async function share({ keeper }: OperatorContext, bytes: Buffer): Promise<AdminAnswer> {
  const { have, need } = await keeper.putShare('unseal', bytes);
  return { body: { have, need, sealed: !keeper.unsealed } };
}

/** Files are replaced at once; shares when enough of the new ones were given once. */
async function rekey({ keeper, approvals }: OperatorContext, source: Exclude<SlotSource, { how: 'held' }>): Promise<AdminAnswer> {
  if (source.how !== 'shares' || !(await keeper.slots()).some((slot) => slot.how === 'shares')) return shown(await keeper.replace(source, (slot) => slot.how === source.how));
  const made = await keeper.reshare(source);
  const approval = approvals.wait('the old shares count no more', async () => {
    await keeper.drop(made.header, made.alone);
    return { body: { done: true } };
  }, made.alone);
  return shown(made, { approval, message: `the old shares stay good until ${source.threshold} of the new ones confirm: strongroom operator approve ${approval}` });
}

/** The shares in one text, a blank between: a JSON string that needs no escapes. */
function shown({ shares }: { readonly shares?: Payload }, more: Readonly<Record<string, unknown>> = {}): AdminAnswer {
  if (shares === undefined) return { body: { done: true, ...more } };
  const { bytes } = shares;
  for (let i = 0; i < bytes.length; i++) if (bytes[i] === 10) bytes[i] = 32;
  return { body: { done: true, ...more }, secret: { member: 'shares', text: shares.fill(bytes.length - 1) } };
}

function sourceOf(body: AdminCall['body']): SlotSource {
  only({ body }, ['keyFile', 'passphraseFile', 'shares', 'threshold']);
  const source = fileSource(body);
  const { shares, threshold } = body;
  if (shares === undefined && threshold === undefined) {
    if (source === undefined) throw new AdminError(400, 'say shares and threshold, keyFile, or passphraseFile');
    return source;
  }
  if (source !== undefined) throw new AdminError(400, 'shares, keyFile and passphraseFile are one slot each');
  if (typeof shares !== 'number' || typeof threshold !== 'number' || !Number.isSafeInteger(shares) || !Number.isSafeInteger(threshold) || threshold < 1 || threshold > shares || shares > 32)
    throw new AdminError(400, 'threshold is 1 to shares, shares at most 32');
  return { how: 'shares', threshold, count: shares };
}

function fileSource(body: AdminCall['body']): { readonly how: 'keyfile' | 'passphrase'; readonly path: string } | undefined {
  if (body['keyFile'] !== undefined && body['passphraseFile'] !== undefined) throw new AdminError(400, 'keyFile and passphraseFile are one slot each');
  if (body['keyFile'] !== undefined) return { how: 'keyfile', path: file(body, 'keyFile') };
  return body['passphraseFile'] === undefined ? undefined : { how: 'passphrase', path: file(body, 'passphraseFile') };
}

function nameOf(source: SlotSource): string {
  return source.how === 'shares' ? `shares, ${source.threshold} of ${source.count},` : source.how;
}

function file(body: AdminCall['body'], name: string): string {
  const path = body[name];
  if (typeof path !== 'string' || !path.startsWith('/') || path.length > 4096) throw new AdminError(400, `${name} is the whole path of a file`);
  return path;
}

function readBackup(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    throw new AdminError(400, `${path} cannot be read`);
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new AdminError(400, 'note is an object');
  return value as Readonly<Record<string, unknown>>;
}

function only({ body }: Pick<AdminCall, 'body'>, names: readonly string[]): void {
  const other = Object.keys(body).find((name) => !names.includes(name));
  if (other !== undefined) throw new AdminError(400, `${other.slice(0, 40)} is not known here`);
}
