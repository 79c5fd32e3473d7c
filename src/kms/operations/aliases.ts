/** Names for keys, per account and Region. They need permission on the name and on each key concerned. */
import { aliasArn } from '../../iam/arn.ts';
import { StoreError, type Row, type Tx } from '../../store/store.ts';
import { ceilingAs } from '../ceilings.ts';
import { operation } from '../define.ts';
import { fail, naming, validation } from '../errors.ts';
import { requireCustomerKey } from './keys.ts';
import type { Key } from '../key.ts';
import { listPage, pageLimit, type PageInput } from '../marker.ts';
import { epoch } from '../metadata.ts';
import type { Answer } from '../operation.ts';
import { predefinedAliases } from '../predefined.ts';
import { aliasRowId, type AliasRecord } from '../records.ts';
import type { Run } from '../run.ts';
import { optional } from '../shape.ts';
import * as s from '../shapes.ts';

function checkName(name: string): void {
  if (!name.startsWith('alias/')) {
    throw validation('Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html');
  }
  if (name.includes(':')) throw validation(`${name} contains invalid characters for an alias`);
  if (name === 'alias/') throw fail('InvalidAliasNameException', `${name} is not a valid alias name.`);
  if (/^alias\/aws\//.test(name) || name === 'alias/aws') throw fail('NotAuthorizedException');
}

function checkTarget(target: string): void {
  if (target.startsWith('alias/') || /^arn:[^:]*:kms:[^:]*:[^:]*:alias\//.test(target)) throw validation('Aliases must refer to keys. Not aliases');
}

const arnOf = (run: Run, name: string): string => aliasArn(run.region, run.account, name);

async function existing(run: Run, name: string): Promise<Row<AliasRecord>> {
  const row = await run.store.get<AliasRecord>('alias', aliasRowId(run.account, run.region, name));
  if (row === undefined) throw naming.noAlias(arnOf(run, name));
  return row;
}

/* ---- operations -------------------------------------------------------------- */

export const createAlias = operation({
  name: 'CreateAlias',
  input: { AliasName: s.AliasNameType, TargetKeyId: s.KeyIdType },
  readOnly: false,
  async run(run, { AliasName: name, TargetKeyId: target }) {
    checkName(name);
    checkTarget(target);
    run.touchAlias(arnOf(run, name));
    await run.permit('kms:CreateAlias', arnOf(run, name));
    const key = await run.open(target, { states: 'edit' });
    requireCustomerKey(key);
    const body: AliasRecord = { name, key: key.id, keyId: key.record.keyId, createdMs: run.nowMs, updatedMs: run.nowMs };
    await run.store.tx(async (tx) => {
      await run.reread(tx, key, 'edit');
      const id = aliasRowId(run.account, run.region, name);
      if ((await tx.get('alias', id)) !== undefined) throw taken(run, name);
      requireRoom(run, tx, key);
      tx.insert('alias', { id, account: run.account, region: run.region, body });
    }).catch((error: unknown) => {
      throw error instanceof StoreError && error.code === 'Exists' ? taken(run, name) : error;
    }).catch(noRoom(run, key));
    return {};
  },
});

/** In a transaction that gives the key one more. */
function requireRoom({ services }: Run, tx: Tx, key: Key): void {
  tx.below('alias.key', [key.id], services.ceilings.aliasesPerKey);
}

const noRoom = ({ services }: Run, key: Key) => ceilingAs(fail('LimitExceededException', `The key ${key.arn} has ${services.ceilings.aliasesPerKey} aliases already.`));

const taken = (run: Run, name: string) => fail('AlreadyExistsException', `An alias with the name ${arnOf(run, name)} already exists`);

export const updateAlias = operation({
  name: 'UpdateAlias',
  input: { AliasName: s.AliasNameType, TargetKeyId: s.KeyIdType },
  readOnly: false,
  async run(run, { AliasName: name, TargetKeyId: target }) {
    checkName(name);
    checkTarget(target);
    const alias = await existing(run, name);
    run.touchAlias(arnOf(run, name));
    await run.permit('kms:UpdateAlias', arnOf(run, name));
    const from = await run.authorised(alias.body.keyId, {});
    const to = await run.open(target, { states: 'edit' });
    requireCustomerKey(to);
    if (!sameKind(from, to)) throw validation('The current and new KMS keys of an alias must be of the same type and have the same key usage.');
    await run.store.tx(async (tx) => {
      await run.reread(tx, to, 'edit');
      const now = await tx.get<AliasRecord>('alias', alias.id);
      if (now === undefined) throw naming.noAlias(arnOf(run, name));
      if (now.body.key !== to.id) requireRoom(run, tx, to);
      tx.update(now, { body: { ...now.body, key: to.id, keyId: to.record.keyId, updatedMs: run.nowMs } });
    }).catch(noRoom(run, to));
    return {};
  },
});

const sameKind = (a: Key, b: Key): boolean => a.spec.family === b.spec.family && a.record.usage === b.record.usage;

export const deleteAlias = operation({
  name: 'DeleteAlias',
  input: { AliasName: s.AliasNameType },
  readOnly: false,
  async run(run, { AliasName: name }) {
    checkName(name);
    const alias = await existing(run, name);
    run.touchAlias(arnOf(run, name));
    await run.permit('kms:DeleteAlias', arnOf(run, name));
    await run.authorised(alias.body.keyId, {});
    await run.store.tx(async (tx) => {
      const now = await tx.get<AliasRecord>('alias', alias.id);
      if (now === undefined) throw naming.noAlias(arnOf(run, name));
      tx.delete(now);
    });
    return {};
  },
});

export const listAliases = operation({
  name: 'ListAliases',
  input: { KeyId: optional(s.KeyIdType), Limit: optional(s.LimitType), Marker: optional(s.MarkerType) },
  readOnly: true,
  async run(run, input) {
    await run.permit('kms:ListAliases');
    if (input.KeyId === undefined) return listAll(run, input);
    const key = await run.own(input.KeyId);
    const { items, more } = await listPage<AliasRecord, ReturnType<typeof show>>(
      run.store, run.services.markers, `ListAliases ${key.id}`, 'alias', { index: 'alias.key', equals: [key.id] }, input, page, (row) => show(run, row.body),
    );
    return { Aliases: items, ...more };
  },
});

const page = { otherwise: 50, most: 100 } as const;

/**
 * Predefined aliases whose keys are not there yet come first, then the account's own. The cursor says
 * where: the n-th predefined, or a place among the others.
 */
async function listAll(run: Run, input: PageInput): Promise<Answer> {
  const { markers } = run.services;
  const scope = `ListAliases ${run.account}/${run.region}`;
  const limit = pageLimit(input, page);
  const cursor = markers.open(scope, input.Marker) ?? '0';
  const start = /^\d+$/.test(cursor) ? Number(cursor) : undefined;
  const next = (place: string) => ({ Truncated: true, NextMarker: markers.make(scope, place) });

  const found = start === undefined ? [] : (await unmade(run)).filter(({ place }) => place >= start);
  const waiting = found.slice(0, limit).map(({ shown }) => shown);
  const later = found[limit];
  if (later !== undefined) return { Aliases: waiting, ...next(String(later.place)) };
  const room = limit - waiting.length;
  if (room === 0) return { Aliases: waiting, ...next('-') };
  const after = start === undefined ? cursor.slice(1) : '';
  const { rows, next: more } = await run.store.list<AliasRecord>('alias', {
    index: 'alias.place', equals: [run.account, run.region], limit: room, ...(after === '' ? {} : { after }),
  });
  const Aliases = [...waiting, ...rows.map((row) => show(run, row.body))];
  return more === undefined ? { Aliases, Truncated: false } : { Aliases, ...next(`-${more}`) };
}

/** Each at its place among all that are predefined, which stays while others are made. */
async function unmade(run: Run): Promise<readonly { readonly place: number; readonly shown: { readonly AliasName: string; readonly AliasArn: string } }[]> {
  const there = await Promise.all(predefinedAliases.map((name) => run.store.get('alias', aliasRowId(run.account, run.region, name))));
  return predefinedAliases.flatMap((AliasName, place) => (there[place] === undefined ? [{ place, shown: { AliasName, AliasArn: arnOf(run, AliasName) } }] : []));
}

const show = (run: Run, alias: AliasRecord) => ({
  AliasName: alias.name, AliasArn: arnOf(run, alias.name), TargetKeyId: alias.keyId,
  CreationDate: epoch(alias.createdMs), LastUpdatedDate: epoch(alias.updatedMs),
});
