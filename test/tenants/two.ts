/** A server with two tenants, each with a root, a user who may do everything and one who may do nothing. */
import { rmSync } from 'node:fs';
import type { Mode } from '../../src/hsm/core.ts';
import type { ServerOptions } from '../../src/server/server.ts';
import { accessKeyId, account as first, call, kmsTarget, newHome, openRoom, secret, send, sign, type Answered, type Room, type Signing } from '../server/room.ts';
import { makes, requests, type Kind, type Things } from './requests.ts';

export const home = first;
export const away = '444455556666';

export interface Who extends Required<Pick<Signing, 'accessKeyId' | 'secret'>> {
  readonly arn: string;
  /** Of temporary credentials. */
  readonly token?: string;
}

export interface Tenant {
  readonly account: string;
  readonly root: Who;
  /** Its policies let it do everything, everywhere. */
  readonly mighty: Who;
  /** Nothing lets it do anything. */
  readonly idle: Who;
  /** The mighty one's temporary credentials. */
  readonly session: Who;
}

export interface Two {
  readonly room: Room;
  readonly a: Tenant;
  readonly b: Tenant;
  /** The whole answer, as it came over the wire. */
  raw(who: Who, operation: string, input: unknown, headers?: Readonly<Record<string, string>>): Promise<Answered>;
  lookUp(who: Who, input: unknown): Promise<Answered>;
  /** The answer of a success; throws a refusal's name and sentence. */
  call(who: Who, operation: string, input: unknown): Promise<Record<string, any>>;
  /** The name of a refusal, or `ok`. */
  code(who: Who, operation: string, input: unknown): Promise<string>;
  /** IAM or STS: what came. */
  query(who: Who, service: 'iam' | 'sts', form: Readonly<Record<string, string>>): Promise<Answered>;
  /** A user of one statement. */
  give(account: string, userName: string, statement: object): Promise<Who>;
  close(): Promise<void>;
}

const form = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };
const all = JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: '*', Resource: '*' } });

export async function openTwo(mode: Mode = 'production', more: Partial<ServerOptions> = {}): Promise<Two> {
  const room = await openRoom(newHome(), more, mode);
  await room.accounts.create(away);
  const host = new URL(room.server.url).host;

  async function give(account: string, userName?: string): Promise<Who> {
    const made = await room.accounts.createCredential({ account, secret: { from: 'made' }, show: true, ...(userName === undefined ? {} : { userName }) });
    const who = { accessKeyId: made.accessKeyId, secret: made.secret!.bytes.toString('latin1'), arn: made.principal };
    made.secret!.release();
    room.accounts.closeCredential(made);
    return who;
  }

  async function tenant(account: string, root: Who): Promise<Tenant> {
    const mighty = await give(account, 'mighty');
    await room.accounts.directory.putInline(account, 'user', 'mighty', 'all', all);
    const asked = 'Action=GetSessionToken&Version=2011-06-15';
    const { text } = await send(room.server.url, 'POST', '/', sign(host, asked, { ...mighty, service: 'sts', headers: form }), asked);
    const part = (name: string): string => new RegExp(`<${name}>(.*?)</${name}>`).exec(text)?.[1] ?? '';
    const session = { accessKeyId: part('AccessKeyId'), secret: part('SecretAccessKey'), token: part('SessionToken'), arn: mighty.arn };
    return { account, root, mighty, session, idle: await give(account, 'idle') };
  }

  const a = await tenant(home, { accessKeyId, secret, arn: `arn:aws:iam::${home}:root` });
  const b = await tenant(away, await give(away));
  const post = (who: Who, body: string, service: string, headers: Readonly<Record<string, string>>): Promise<Answered> => {
    const token = who.token === undefined ? {} : { 'x-amz-security-token': who.token };
    return send(room.server.url, 'POST', '/', sign(host, body, { accessKeyId: who.accessKeyId, secret: who.secret, service, headers: { ...headers, ...token } }), body);
  };
  const two: Two = {
    room, a, b,
    raw: (who, operation, input, headers = {}) => post(who, JSON.stringify(input), 'kms', { ...kmsTarget(operation), ...headers }),
    lookUp: (who, input) => post(who, JSON.stringify(input), 'cloudtrail', { ...kmsTarget(''), 'x-amz-target': 'com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents' }),
    async call(who, operation, input) {
      const { status, body } = await call(room, operation, input, who);
      if (status !== 200) throw new Error(`${operation}: ${String(body['__type'])}: ${String(body['message'])}`);
      return body;
    },
    async code(who, operation, input) {
      const { status, body } = await call(room, operation, input, who);
      return status === 200 ? 'ok' : String(body['__type']);
    },
    query: (who, service, fields) => post(who, new URLSearchParams({ Version: service === 'iam' ? '2010-05-08' : '2011-06-15', ...fields }).toString(), service, form),
    async give(account, userName, statement) {
      const who = await give(account, userName);
      await room.accounts.directory.putInline(account, 'user', userName, 'one', JSON.stringify({ Version: '2012-10-17', Statement: statement }));
      return who;
    },
    async close() {
      await room.stop();
      rmSync(room.home, { recursive: true });
    },
  };
  return two;
}

const noThings: Things = { keys: { symmetric: '', sign: '', mac: '', agree: '', kem: '', external: '', multi: '' }, blob: '', signature: '', mac: '', encapsulated: '', peer: '', importToken: '', grantId: '', grantToken: '' };

/** Keys of every kind, and one thing made with each. `more`: for CreateKey. */
export async function furnish({ call: ask }: Two, who: Who, more: (kind: Kind) => object = () => ({})): Promise<Things> {
  const keys: Record<string, string> = {};
  for (const [kind, wish] of Object.entries(makes)) keys[kind] = (await ask(who, 'CreateKey', { ...wish, ...more(kind as Kind) }))['KeyMetadata'].Arn as string;
  const use = (operation: string): Promise<Record<string, any>> => {
    const { kind, input } = requests[operation]!;
    return ask(who, operation, input(noThings, keys[kind]!, who.arn));
  };
  const grant = await ask(who, 'CreateGrant', { KeyId: keys['symmetric'], GranteePrincipal: who.arn, RetiringPrincipal: who.arn, Operations: ['Encrypt', 'RetireGrant'], Name: 'one' });
  return {
    keys: keys as Record<Kind, string>,
    blob: (await use('Encrypt'))['CiphertextBlob'], signature: (await use('Sign'))['Signature'], mac: (await use('GenerateMac'))['Mac'],
    encapsulated: (await use('Encapsulate'))['SharedSecretCiphertextBlob'],
    peer: (await ask(who, 'GetPublicKey', { KeyId: keys['agree'] }))['PublicKey'], importToken: (await use('GetParametersForImport'))['ImportToken'],
    grantId: grant['GrantId'], grantToken: grant['GrantToken'],
  };
}
