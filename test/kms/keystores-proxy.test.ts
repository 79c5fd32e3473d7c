/** External key stores: the six operations, keys and everything that is done with them, each failure of the proxy. */
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ProxySettings } from '../../src/kms/keystores/settings.ts';
import { byModule, byProxy, count as modelled, noting, operations, unreached } from './keystores-model.ts';
import { complaints, errorsOf, outputOf } from './parity/model.ts';
import { away, day, home, makeWorld, otherRegion, type Body, type World } from './world.ts';
import { encrypt, endpoint, externalKey, gcmAad, host, path, startDouble, type Double } from './xks-double.ts';

const reached = new Set<string>();
let double: Double;
let w: World;
/** As the world has them; a test may change them for a while. */
const proxies: { -readonly [K in keyof ProxySettings]: ProxySettings[K] } = {};

beforeAll(async () => {
  double = await startDouble();
  const settings = double.settings();
  const [[, to]] = [...settings.connectTo ?? []] as [[string, { readonly host: string; readonly port: number }]];
  Object.assign(proxies, settings, {
    hosts: new Set([host, 'closed.example.com', 'wrong.example.com']), connectTo: new Map([[host, to], ['wrong.example.com', to], ['closed.example.com', { host: '127.0.0.1', port: 1 }]]),
  });
  w = noting(await makeWorld({ keyStoreSettings: { clusters: new Map(), proxies } }), reached);
});
afterAll(async () => {
  await w.close();
  await double.close();
});
afterEach(async () => {
  double.fault = undefined;
  double.health = ['ACTIVE'];
  double.metadata = undefined;
  double.asked.length = 0;
  for (const { CustomKeyStoreId, ConnectionState } of (await w.call('DescribeCustomKeyStores')).CustomKeyStores as Body[]) {
    if (ConnectionState !== 'DISCONNECTED') await w.call('DisconnectCustomKeyStore', { CustomKeyStoreId });
    await w.ask('DeleteCustomKeyStore', { CustomKeyStoreId });
  }
});

let count = 0;
const input = (more: Body = {}): Body => ({
  CustomKeyStoreName: `store ${++count}`, CustomKeyStoreType: 'EXTERNAL_KEY_STORE', XksProxyConnectivity: 'PUBLIC_ENDPOINT', XksProxyUriEndpoint: endpoint, XksProxyUriPath: path,
  XksProxyAuthenticationCredential: { AccessKeyId: double.accessKeyId, RawSecretAccessKey: double.secret }, ...more,
});

const described = async (CustomKeyStoreId: string): Promise<Body> => (await w.call('DescribeCustomKeyStores', { CustomKeyStoreId })).CustomKeyStores[0];

async function settled(CustomKeyStoreId: string): Promise<Body> {
  for (;;) {
    const entry = await described(CustomKeyStoreId);
    if (entry.ConnectionState !== 'CONNECTING') return entry;
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
}

async function connected(more: Body = {}): Promise<string> {
  const { CustomKeyStoreId } = await w.call('CreateCustomKeyStore', input(more));
  await w.call('ConnectCustomKeyStore', { CustomKeyStoreId });
  expect((await settled(CustomKeyStoreId)).ConnectionState, w.log.join()).toBe('CONNECTED');
  return CustomKeyStoreId;
}

/** A key in a connected store; the store empties itself when the key's waiting period is over. */
async function newKey(more: Body = {}): Promise<Body> {
  const CustomKeyStoreId = await connected();
  const XksKeyId = `key-${++count}`;
  double.keys.set(XksKeyId, externalKey());
  return (await w.call('CreateKey', { Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId, XksKeyId, ...more })).KeyMetadata;
}

async function gone({ KeyId }: Body): Promise<void> {
  await w.call('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
  w.pass(8 * day);
  await w.caretaker.run();
}

const pairs = { EncryptionContext: { tenant: 'a' } };

describe('a store', () => {
  test('is made, connected, shown, changed, disconnected, deleted', async () => {
    const made = input();
    const { CustomKeyStoreId } = await w.call('CreateCustomKeyStore', made);
    expect(CustomKeyStoreId).toMatch(/^cks-[0-9a-f]{17}$/);
    expect(double.asked).toEqual([{ path: '/health', body: { requestMetadata: { kmsRequestId: expect.stringMatching(/^0{8}-/), kmsOperation: 'CreateCustomKeyStore' } } }]);
    const shown = {
      CustomKeyStoreId, CustomKeyStoreName: made.CustomKeyStoreName, ConnectionState: 'DISCONNECTED', CreationDate: expect.any(Number), CustomKeyStoreType: 'EXTERNAL_KEY_STORE',
      XksProxyConfiguration: { Connectivity: 'PUBLIC_ENDPOINT', AccessKeyId: double.accessKeyId, UriEndpoint: endpoint, UriPath: path },
    };
    expect(await w.call('DescribeCustomKeyStores')).toEqual({ CustomKeyStores: [shown], Truncated: false });
    expect(await w.call('DescribeCustomKeyStores', { CustomKeyStoreName: made.CustomKeyStoreName })).toEqual({ CustomKeyStores: [shown], Truncated: false });
    expect(await w.call('ConnectCustomKeyStore', { CustomKeyStoreId })).toEqual({});
    expect(await settled(CustomKeyStoreId)).toEqual({ ...shown, ConnectionState: 'CONNECTED' });
    expect(await w.call('ConnectCustomKeyStore', { CustomKeyStoreId })).toEqual({});
    expect(await w.call('UpdateCustomKeyStore', { CustomKeyStoreId, NewCustomKeyStoreName: 'renamed' })).toEqual({});
    expect((await described(CustomKeyStoreId)).CustomKeyStoreName).toBe('renamed');
    expect(await w.refusal('DeleteCustomKeyStore', { CustomKeyStoreId })).toMatchObject({ code: 'CustomKeyStoreInvalidStateException' });
    expect(await w.call('DisconnectCustomKeyStore', { CustomKeyStoreId })).toEqual({});
    expect(await w.refusal('DisconnectCustomKeyStore', { CustomKeyStoreId })).toMatchObject({ code: 'CustomKeyStoreInvalidStateException' });
    expect(await w.call('DeleteCustomKeyStore', { CustomKeyStoreId })).toEqual({});
    expect(await w.refusal('DescribeCustomKeyStores', { CustomKeyStoreId })).toMatchObject({ code: 'CustomKeyStoreNotFoundException' });
    expect(await w.refusal('DescribeCustomKeyStores', { CustomKeyStoreName: 'renamed' })).toMatchObject({ code: 'CustomKeyStoreNotFoundException' });
  });

  test('is its account\'s and its Region\'s alone, and asks leave', async () => {
    const { CustomKeyStoreId } = await w.call('CreateCustomKeyStore', input());
    for (const operation of ['ConnectCustomKeyStore', 'DisconnectCustomKeyStore', 'DeleteCustomKeyStore', 'DescribeCustomKeyStores', 'UpdateCustomKeyStore']) {
      for (const as of [{ account: away }, { region: otherRegion }]) expect(await w.refusal(operation, { CustomKeyStoreId }, as)).toMatchObject({ code: 'CustomKeyStoreNotFoundException' });
      expect(await w.refusal(operation, { CustomKeyStoreId }, { who: 'user/nobody' })).toMatchObject({ code: 'AccessDeniedException' });
    }
    expect(await w.refusal('CreateCustomKeyStore', input(), { who: 'user/nobody' })).toMatchObject({ code: 'AccessDeniedException' });
    w.let(`arn:aws:iam::${home}:user/keeper`, { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'kms:DescribeCustomKeyStores', Resource: '*' }] });
    expect((await w.call('DescribeCustomKeyStores', {}, { who: 'user/keeper' })).CustomKeyStores).toHaveLength(1);
    expect((await w.call('DescribeCustomKeyStores', {}, { account: away })).CustomKeyStores).toEqual([]);
  });

  test('has members that go with its type', async () => {
    for (const member of ['XksProxyConnectivity', 'XksProxyUriEndpoint', 'XksProxyUriPath', 'XksProxyAuthenticationCredential']) {
      expect(await w.refusal('CreateCustomKeyStore', input({ [member]: undefined }))).toMatchObject({ code: 'ValidationException', message: `${member} is required when CustomKeyStoreType is EXTERNAL_KEY_STORE.` });
    }
    expect(await w.refusal('CreateCustomKeyStore', input({ KeyStorePassword: 'password' }))).toMatchObject({ code: 'ValidationException' });
    expect(await w.refusal('CreateCustomKeyStore', input({ CustomKeyStoreType: undefined }))).toMatchObject({ code: 'ValidationException' });
    expect(await w.refusal('CreateCustomKeyStore', input({ XksProxyConnectivity: 'VPC_ENDPOINT_SERVICE' }))).toMatchObject({ code: 'ValidationException' });
    expect(await w.refusal('CreateCustomKeyStore', input({ XksProxyVpcEndpointServiceOwner: home }))).toMatchObject({ code: 'ValidationException' });
    expect(await w.refusal('DescribeCustomKeyStores', { CustomKeyStoreId: 'a', CustomKeyStoreName: 'b' })).toMatchObject({ code: 'ValidationException' });
  });

  test('private ones are asked when they are connected', async () => {
    const XksProxyVpcEndpointServiceName = 'com.amazonaws.vpce.us-east-1.vpce-svc-1';
    const { CustomKeyStoreId } = await w.call('CreateCustomKeyStore', input({ XksProxyConnectivity: 'VPC_ENDPOINT_SERVICE', XksProxyVpcEndpointServiceName }));
    expect(double.asked).toEqual([]);
    expect((await described(CustomKeyStoreId)).XksProxyConfiguration).toMatchObject({ VpcEndpointServiceName: XksProxyVpcEndpointServiceName, VpcEndpointServiceOwner: home });
    await w.call('ConnectCustomKeyStore', { CustomKeyStoreId });
    expect((await settled(CustomKeyStoreId)).ConnectionState).toBe('CONNECTED');
    expect(await w.refusal('CreateCustomKeyStore', input({ XksProxyUriPath: '/other/kms/xks/v1' }))).toMatchObject({ code: 'XksProxyUriEndpointInUseException' });
    expect(await w.refusal('CreateCustomKeyStore', input({ XksProxyUriEndpoint: 'https://other.example.com', XksProxyConnectivity: 'VPC_ENDPOINT_SERVICE', XksProxyVpcEndpointServiceName })))
      .toMatchObject({ code: 'XksProxyVpcEndpointServiceInUseException' });
    // The same rules hold for changes.
    const vpc = (n: number) => ({ XksProxyUriEndpoint: `https://q${n}.example.com`, XksProxyConnectivity: 'VPC_ENDPOINT_SERVICE', XksProxyVpcEndpointServiceName: `com.amazonaws.vpce.us-east-1.vpce-svc-q${n}` });
    const one = (await w.call('CreateCustomKeyStore', input(vpc(1)))).CustomKeyStoreId as string;
    for (const [change, code] of [
      [{ XksProxyUriEndpoint: endpoint }, 'XksProxyUriInUseException'], [{ XksProxyUriEndpoint: endpoint, XksProxyUriPath: '/new/kms/xks/v1' }, 'XksProxyUriEndpointInUseException'],
      [{ XksProxyVpcEndpointServiceName }, 'XksProxyVpcEndpointServiceInUseException'],
    ] as const) expect(await w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId: one, ...change })).toMatchObject({ code });
  });

  test('no two of one name, one address; ten at most, whoever hurries', async () => {
    const first = input();
    await w.call('CreateCustomKeyStore', first);
    expect(await w.refusal('CreateCustomKeyStore', input({ CustomKeyStoreName: first.CustomKeyStoreName, XksProxyUriPath: '/a/kms/xks/v1' }))).toMatchObject({ code: 'CustomKeyStoreNameInUseException' });
    expect(await w.refusal('CreateCustomKeyStore', input())).toMatchObject({ code: 'XksProxyUriInUseException' });
    const vpc = (n: number) => input({ XksProxyUriEndpoint: `https://p${n}.example.com`, XksProxyConnectivity: 'VPC_ENDPOINT_SERVICE', XksProxyVpcEndpointServiceName: `com.amazonaws.vpce.us-east-1.vpce-svc-${n}` });
    const answers = await Promise.all(Array.from({ length: 14 }, (_, n) => w.ask('CreateCustomKeyStore', vpc(n))));
    expect(answers.filter(({ ok }) => ok)).toHaveLength(9);
    expect(new Set(answers.flatMap((answer) => (answer.ok ? [] : [answer.error.code])))).toEqual(new Set(['LimitExceededException']));
    const [one, two] = (await w.call('DescribeCustomKeyStores')).CustomKeyStores as [Body, Body];
    expect(await w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId: one.CustomKeyStoreId, NewCustomKeyStoreName: two.CustomKeyStoreName })).toMatchObject({ code: 'CustomKeyStoreNameInUseException' });
    const pages: string[] = [];
    for (let Marker: string | undefined; ;) {
      const page: Body = await w.call('DescribeCustomKeyStores', { Limit: 4, ...(Marker === undefined ? {} : { Marker }) });
      pages.push(...(page.CustomKeyStores as Body[]).map(({ CustomKeyStoreId }) => CustomKeyStoreId as string));
      if (!page.Truncated) break;
      Marker = page.NextMarker;
    }
    expect(new Set(pages).size).toBe(10);
    expect(await w.refusal('DescribeCustomKeyStores', { Marker: 'nonsense' })).toMatchObject({ code: 'InvalidMarkerException' });
  });

  test('changes its path and credential while connected, nothing else', async () => {
    const CustomKeyStoreId = await connected();
    const credential = { AccessKeyId: double.accessKeyId, RawSecretAccessKey: double.secret };
    expect(await w.call('UpdateCustomKeyStore', { CustomKeyStoreId, XksProxyAuthenticationCredential: credential })).toEqual({});
    expect(double.asked.at(-1)?.body['requestMetadata']).toMatchObject({ kmsOperation: 'UpdateCustomKeyStore' });
    expect(await w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId, XksProxyAuthenticationCredential: { ...credential, RawSecretAccessKey: 'a'.repeat(43) } })).toMatchObject({ code: 'XksProxyIncorrectAuthenticationCredentialException' });
    expect(await w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId, XksProxyUriPath: '/wrong/kms/xks/v1' })).toMatchObject({ code: 'XksProxyInvalidConfigurationException' });
    expect(await w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId, XksProxyUriEndpoint: endpoint })).toMatchObject({ code: 'CustomKeyStoreInvalidStateException' });
    expect(await w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId, KeyStorePassword: 'password' })).toMatchObject({ code: 'CustomKeyStoreInvalidStateException' });
    await w.call('DisconnectCustomKeyStore', { CustomKeyStoreId });
    expect(await w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId, KeyStorePassword: 'password' })).toMatchObject({ code: 'ValidationException' });
    expect(await w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId, XksProxyUriEndpoint: 'https://closed.example.com' })).toMatchObject({ code: 'XksProxyUriUnreachableException' });
    const XksProxyVpcEndpointServiceName = 'com.amazonaws.vpce.us-east-1.vpce-svc-2';
    expect(await w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId, XksProxyConnectivity: 'VPC_ENDPOINT_SERVICE', XksProxyVpcEndpointServiceName })).toMatchObject({ code: 'ValidationException' });
    expect(await w.call('UpdateCustomKeyStore', { CustomKeyStoreId, XksProxyConnectivity: 'VPC_ENDPOINT_SERVICE', XksProxyUriEndpoint: 'https://p.example.com', XksProxyVpcEndpointServiceName })).toEqual({});
    expect((await described(CustomKeyStoreId)).XksProxyConfiguration).toMatchObject({ Connectivity: 'VPC_ENDPOINT_SERVICE', UriEndpoint: 'https://p.example.com', VpcEndpointServiceName: XksProxyVpcEndpointServiceName });
    expect(await w.call('UpdateCustomKeyStore', { CustomKeyStoreId, XksProxyConnectivity: 'PUBLIC_ENDPOINT', XksProxyUriEndpoint: endpoint })).toEqual({});
    expect((await described(CustomKeyStoreId)).XksProxyConfiguration).toEqual({ Connectivity: 'PUBLIC_ENDPOINT', AccessKeyId: double.accessKeyId, UriEndpoint: endpoint, UriPath: path });
  });
});

describe('a key', () => {
  test('is made for an external key that fits, one for each', async () => {
    const CustomKeyStoreId = await connected();
    const make = (more: Body = {}) => ({ Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId, XksKeyId: 'one', ...more });
    expect(await w.refusal('CreateKey', make())).toMatchObject({ code: 'XksKeyNotFoundException', message: 'The external key store proxy rejected the request because it could not find the external key.' });
    const external = externalKey();
    double.keys.set('one', external);
    external.spec = 'AES_128';
    expect(await w.refusal('CreateKey', make())).toMatchObject({ code: 'XksKeyInvalidConfigurationException', message: 'The key spec of the external key must be AES_256. The key spec of specified external key is AES_128.' });
    external.spec = 'AES_256';
    external.status = 'DISABLED';
    expect(await w.refusal('CreateKey', make())).toMatchObject({ code: 'XksKeyInvalidConfigurationException', message: 'The status of the external key must be ENABLED. The status of specified external key is DISABLED.' });
    external.status = 'ENABLED';
    external.usage = ['ENCRYPT', 'SIGN'];
    expect(await w.refusal('CreateKey', make())).toMatchObject({ code: 'XksKeyInvalidConfigurationException', message: 'The key usage of the external key must include ENCRYPT and DECRYPT. The key use of specified external key is ENCRYPT, SIGN.' });
    external.usage = ['ENCRYPT', 'DECRYPT'];
    expect(await w.refusal('CreateKey', make({ KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' }))).toMatchObject({ code: 'UnsupportedOperationException' });
    expect(await w.refusal('CreateKey', make({ MultiRegion: true }))).toMatchObject({ code: 'UnsupportedOperationException' });
    expect(await w.refusal('CreateKey', make({ Origin: 'AWS_CLOUDHSM', XksKeyId: undefined }))).toMatchObject({ code: 'ValidationException' });
    expect(await w.refusal('CreateKey', make({ CustomKeyStoreId: 'cks-0' }))).toMatchObject({ code: 'CustomKeyStoreNotFoundException' });
    const { KeyMetadata } = await w.call('CreateKey', make());
    expect(KeyMetadata).toMatchObject({ Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId, XksKeyConfiguration: { Id: 'one' }, KeyState: 'Enabled', Enabled: true, MultiRegion: false });
    expect(double.asked.at(-1)?.body['requestMetadata']).toEqual({ awsPrincipalArn: `arn:aws:iam::${home}:root`, kmsOperation: 'CreateKey', kmsRequestId: expect.any(String), kmsKeyArn: KeyMetadata.Arn });
    expect(await w.refusal('CreateKey', make())).toMatchObject({ code: 'XksKeyAlreadyInUseException' });
    double.keys.set('three', externalKey());
    const race = await Promise.all(Array.from({ length: 6 }, () => w.ask('CreateKey', make({ XksKeyId: 'three' }))));
    expect(race.filter(({ ok }) => ok)).toHaveLength(1);
    expect(new Set(race.flatMap((answer) => (answer.ok ? [] : [answer.error.code])))).toEqual(new Set(['XksKeyAlreadyInUseException']));
    await gone(race.flatMap((answer) => (answer.ok ? [answer.body.KeyMetadata] : []))[0]);
    await w.call('DisconnectCustomKeyStore', { CustomKeyStoreId });
    expect(await w.refusal('CreateKey', make({ XksKeyId: 'two' }))).toMatchObject({ code: 'CustomKeyStoreInvalidStateException' });
    expect(await w.refusal('DeleteCustomKeyStore', { CustomKeyStoreId })).toMatchObject({ code: 'CustomKeyStoreHasCMKsException' });
    await gone(KeyMetadata);
    expect(await w.call('DeleteCustomKeyStore', { CustomKeyStoreId })).toEqual({});
  });

  test('encrypts, decrypts, moves ciphertext and makes data keys, sealed twice', async () => {
    const key = await newKey();
    const plain = (await w.call('CreateKey')).KeyMetadata;
    const { KeyId } = key;
    const Plaintext = Buffer.from('nobody but the caller');
    const { CiphertextBlob, ...rest } = await w.call('Encrypt', { KeyId, Plaintext, ...pairs });
    expect(rest).toEqual({ KeyId: key.Arn, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' });
    expect(double.asked.at(-1)?.body['requestMetadata']).toEqual({ awsPrincipalArn: `arn:aws:iam::${home}:root`, kmsOperation: 'Encrypt', kmsRequestId: expect.any(String), kmsKeyArn: key.Arn });
    expect(CiphertextBlob.subarray(0, 4).toString('latin1')).toBe('SRk\u0001');
    expect(await w.call('Decrypt', { CiphertextBlob, ...pairs })).toMatchObject({ Plaintext, KeyId: key.Arn, KeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect((await w.call('Decrypt', { CiphertextBlob, KeyId, ...pairs })).Plaintext).toEqual(Plaintext);
    const there = await w.call('ReEncrypt', { CiphertextBlob, SourceEncryptionContext: pairs.EncryptionContext, DestinationKeyId: plain.KeyId });
    expect((await w.call('Decrypt', { CiphertextBlob: there.CiphertextBlob })).Plaintext).toEqual(Plaintext);
    const back = await w.call('ReEncrypt', { CiphertextBlob: there.CiphertextBlob, DestinationKeyId: KeyId });
    expect((await w.call('Decrypt', { CiphertextBlob: back.CiphertextBlob })).Plaintext).toEqual(Plaintext);
    const again = await w.call('ReEncrypt', { CiphertextBlob: back.CiphertextBlob, DestinationKeyId: KeyId, DestinationEncryptionContext: pairs.EncryptionContext });
    expect((await w.call('Decrypt', { CiphertextBlob: again.CiphertextBlob, ...pairs })).Plaintext).toEqual(Plaintext);
    const data = await w.call('GenerateDataKey', { KeyId, KeySpec: 'AES_256' });
    expect((await w.call('Decrypt', { CiphertextBlob: data.CiphertextBlob })).Plaintext).toEqual(data.Plaintext);
    const blind = await w.call('GenerateDataKeyWithoutPlaintext', { KeyId, NumberOfBytes: 1024 });
    expect((await w.call('Decrypt', { CiphertextBlob: blind.CiphertextBlob })).Plaintext).toHaveLength(1024);
    for (const operation of ['GenerateDataKeyPair', 'GenerateDataKeyPairWithoutPlaintext']) {
      expect(await w.refusal(operation, { KeyId, KeyPairSpec: 'ECC_NIST_P256' })).toMatchObject({ code: 'UnsupportedOperationException' });
    }
    for (const operation of ['EnableKeyRotation', 'GetKeyRotationStatus', 'RotateKeyOnDemand', 'GetParametersForImport', 'ReplicateKey']) {
      const more = { GetParametersForImport: { WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' }, ReplicateKey: { ReplicaRegion: otherRegion } }[operation] ?? {};
      expect(await w.refusal(operation, { KeyId, ...more }), operation).toMatchObject({ code: 'UnsupportedOperationException' });
    }
    expect(await w.refusal('GenerateRandom', { NumberOfBytes: 8, CustomKeyStoreId: key.CustomKeyStoreId })).toMatchObject({ code: 'UnsupportedOperationException' });
    // What the proxy saw is ciphertext.
    const seen = Buffer.concat(double.received).toString('latin1');
    const decoded = [...seen.matchAll(/"(?:plaintext|ciphertext)":"([^"]+)"/g)].map(([, text = '']) => Buffer.from(text, 'base64').toString('latin1')).join('');
    expect(decoded).toContain('SRe\u0001');
    for (const secret of [Plaintext, data.Plaintext as Buffer, Buffer.from(double.secret)]) expect((seen + decoded).includes(secret.toString('latin1'))).toBe(false);
    await gone(key);
  });

  test('its blobs: the longest fits, each flipped byte is refused, so is the inner blob alone', async () => {
    const key = await newKey();
    const { KeyId } = key;
    const Plaintext = Buffer.alloc(4096, 7);
    double.metadata = Buffer.alloc(20, 1);
    const long = (await w.call('Encrypt', { KeyId, Plaintext })).CiphertextBlob as Buffer;
    expect(long.length).toBeLessThanOrEqual(6144);
    expect((await w.call('Decrypt', { CiphertextBlob: long })).Plaintext).toEqual(Plaintext);
    const blob = (await w.call('Encrypt', { KeyId, Plaintext: Buffer.from('x') })).CiphertextBlob as Buffer;
    const asked = double.asked.length;
    for (let i = 0; i < blob.length; i++) {
      const CiphertextBlob = Buffer.from(blob);
      CiphertextBlob[i] = (CiphertextBlob[i] ?? 0) ^ 1;
      expect((await w.refusal('Decrypt', { CiphertextBlob, KeyId })).code, String(i)).toBe('InvalidCiphertextException');
    }
    for (const length of [1, 4, 64, 65, 80, blob.length - 1]) expect((await w.refusal('Decrypt', { CiphertextBlob: blob.subarray(0, length), KeyId })).code).toBe('InvalidCiphertextException');
    expect((await w.refusal('Decrypt', { CiphertextBlob: Buffer.concat([blob, Buffer.of(0)]), KeyId })).code).toBe('InvalidCiphertextException');
    expect(double.asked.length).toBe(asked);
    const inner = Buffer.from(String(double.asked.filter(({ path: at }) => at.endsWith('/encrypt')).at(-1)?.body['plaintext']), 'base64');
    expect((await w.refusal('Decrypt', { CiphertextBlob: inner })).code).toBe('InvalidCiphertextException');
    const other = (await w.call('CreateKey')).KeyMetadata;
    expect((await w.refusal('Decrypt', { CiphertextBlob: blob, KeyId: other.KeyId })).code).toBe('IncorrectKeyException');
    expect(await w.refusal('Decrypt', { CiphertextBlob: blob, ...pairs })).toMatchObject({ code: 'KMSInvalidStateException', message: 'The ciphertext that the external key store proxy submitted for decryption, or the encryption context, is corrupted, missing, or otherwise invalid.' });
    await gone(key);
  });

  test('is unavailable while its store is not connected, and what it was before afterwards', async () => {
    const key = await newKey();
    const { KeyId, CustomKeyStoreId } = key;
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId, Plaintext: Buffer.from('x') });
    await w.call('DisconnectCustomKeyStore', { CustomKeyStoreId });
    expect((await w.call('DescribeKey', { KeyId })).KeyMetadata).toMatchObject({ KeyState: 'Unavailable', Enabled: false });
    const message = `${key.Arn} is unavailable.`;
    expect(await w.refusal('Encrypt', { KeyId, Plaintext: Buffer.from('x') })).toEqual({ code: 'KMSInvalidStateException', message, status: 400 });
    expect(await w.refusal('Decrypt', { CiphertextBlob })).toEqual({ code: 'KMSInvalidStateException', message, status: 400 });
    await w.call('DisableKey', { KeyId });
    expect((await w.call('DescribeKey', { KeyId })).KeyMetadata.KeyState).toBe('Unavailable');
    await w.call('ConnectCustomKeyStore', { CustomKeyStoreId });
    await settled(CustomKeyStoreId);
    expect((await w.call('DescribeKey', { KeyId })).KeyMetadata.KeyState).toBe('Disabled');
    await w.call('EnableKey', { KeyId });
    expect((await w.call('Decrypt', { CiphertextBlob })).Plaintext).toEqual(Buffer.from('x'));
    await w.call('DisconnectCustomKeyStore', { CustomKeyStoreId });
    await w.call('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
    expect((await w.call('DescribeKey', { KeyId })).KeyMetadata.KeyState).toBe('PendingDeletion');
    await w.call('CancelKeyDeletion', { KeyId });
    expect((await w.call('DescribeKey', { KeyId })).KeyMetadata.KeyState).toBe('Unavailable');
    await gone(key);
    // The external key is free again.
    await w.call('ConnectCustomKeyStore', { CustomKeyStoreId });
    await settled(CustomKeyStoreId);
    const next = (await w.call('CreateKey', { Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId, XksKeyId: key.XksKeyConfiguration.Id })).KeyMetadata;
    await gone(next);
  });
});

/* ---- failures -------------------------------------------------------------------------- */

const text = {
  reach: 'AWS KMS cannot communicate with the external key store proxy.', time: 'AWS KMS rejected the request because the external key store proxy did not respond in time.',
  unhealthy: 'The external key store proxy is in an unhealthy state.', response: 'AWS KMS cannot interpret the response from the external key store proxy.',
};
const says = (status: number, errorName: string) => (_: unknown, response: ServerResponse) => {
  response.writeHead(status).end(JSON.stringify({ errorName, errorMessage: 'secret words of the proxy' }));
  return true;
};
const body = (status: number, content: string) => (_: unknown, response: ServerResponse) => {
  response.writeHead(status).end(content);
  return true;
};
const instead = (part: Body) => (request: { readonly path: string }, response: ServerResponse) => {
  response.writeHead(200).end(JSON.stringify(part));
  return request.path.length > 0;
};

/** What happens; what cryptography says; CreateKey's exception; that of changing a store; the connection's code. */
const failures: readonly (readonly [what: string, fault: Double['fault'], sentence: string, key: string, store: string, code: string])[] = [
  ['no such path', says(404, 'InvalidUriPathException'), 'The external key store proxy rejected the request because of an invalid URI path.', 'CustomKeyStoreInvalidStateException', 'XksProxyInvalidConfigurationException', 'XKS_PROXY_INVALID_CONFIGURATION'],
  ['not authenticated', says(401, 'AuthenticationFailedException'), 'The external key store proxy rejected the request because it could not authenticate AWS KMS.', 'CustomKeyStoreInvalidStateException', 'XksProxyIncorrectAuthenticationCredentialException', 'INVALID_CREDENTIALS'],
  ['denied', says(403, 'AccessDeniedException'), 'The external key store proxy denied access to the operation.', 'KMSInvalidStateException', 'XksProxyInvalidResponseException', 'XKS_PROXY_ACCESS_DENIED'],
  ['no such key', says(404, 'KeyNotFoundException'), 'The external key store proxy rejected the request because it could not find the external key.', 'XksKeyNotFoundException', 'XksProxyInvalidResponseException', 'XKS_PROXY_INVALID_RESPONSE'],
  ['a key that is off', says(400, 'InvalidStateException'), 'The external key store proxy rejected the request because the external key is not enabled in the external key manager.', 'XksKeyInvalidConfigurationException', 'XksProxyInvalidResponseException', 'XKS_PROXY_INVALID_RESPONSE'],
  ['a key of other usage', says(400, 'InvalidKeyUsageException'), 'The external key store proxy rejected the request because the external key does not support the requested operation.', 'XksKeyInvalidConfigurationException', 'XksProxyInvalidResponseException', 'XKS_PROXY_INVALID_RESPONSE'],
  ['a bad ciphertext', says(400, 'InvalidCiphertextException'), 'The external key store proxy rejected the request because the specified ciphertext or additional authenticated data is corrupted, missing, or otherwise invalid.', 'CustomKeyStoreInvalidStateException', 'XksProxyInvalidResponseException', 'XKS_PROXY_INVALID_RESPONSE'],
  ['too many requests', says(429, 'ThrottlingException'), 'The external key store proxy rejected the request due to a very high request rate.', 'CustomKeyStoreInvalidStateException', 'XksProxyUriUnreachableException', 'XKS_PROXY_TIMED_OUT'],
  ['an error inside', says(500, 'InternalException'), text.unhealthy, 'CustomKeyStoreInvalidStateException', 'XksProxyInvalidResponseException', 'XKS_PROXY_INVALID_RESPONSE'],
  ['unsupported', says(501, 'UnsupportedOperationException'), 'The external key store proxy rejected the request because it does not support the requested cryptographic operation.', 'UnsupportedOperationException', 'XksProxyInvalidResponseException', 'XKS_PROXY_INVALID_RESPONSE'],
  ['a slow key manager', says(503, 'DependencyTimeoutException'), 'The external key store proxy did not respond to the request in the time allotted.', 'CustomKeyStoreInvalidStateException', 'XksProxyUriUnreachableException', 'XKS_PROXY_TIMED_OUT'],
  ['our request refused', says(400, 'ValidationException'), text.response, 'CustomKeyStoreInvalidStateException', 'XksProxyInvalidResponseException', 'XKS_PROXY_INVALID_RESPONSE'],
  ['an error of no name', says(418, 'TeapotException'), text.response, 'CustomKeyStoreInvalidStateException', 'XksProxyInvalidResponseException', 'XKS_PROXY_INVALID_RESPONSE'],
  ['an error called __proto__', says(400, '__proto__'), text.response, 'CustomKeyStoreInvalidStateException', 'XksProxyInvalidResponseException', 'XKS_PROXY_INVALID_RESPONSE'],
  ['no JSON', body(200, '<html>'), text.response, 'CustomKeyStoreInvalidStateException', 'XksProxyInvalidResponseException', 'XKS_PROXY_INVALID_RESPONSE'],
  ['JSON that is no object', body(200, '[]'), text.response, 'CustomKeyStoreInvalidStateException', 'XksProxyInvalidResponseException', 'XKS_PROXY_INVALID_RESPONSE'],
  ['an empty object', instead({}), text.response, 'CustomKeyStoreInvalidStateException', 'XksProxyInvalidResponseException', 'XKS_PROXY_INVALID_RESPONSE'],
  ['an answer without end', body(200, `{"a":"${'x'.repeat(70_000)}"}`), text.response, 'CustomKeyStoreInvalidStateException', 'XksProxyInvalidResponseException', 'XKS_PROXY_INVALID_RESPONSE'],
  ['a connection that breaks', (_, response) => { response.socket?.destroy(); return true; }, text.reach, 'CustomKeyStoreInvalidStateException', 'XksProxyUriUnreachableException', 'XKS_PROXY_NOT_REACHABLE'],
  ['an answer that breaks off', (_, response) => { response.writeHead(200, { 'content-length': 100 }).write('{'); setTimeout(() => response.socket?.destroy(), 20); return true; }, text.reach, 'CustomKeyStoreInvalidStateException', 'XksProxyUriUnreachableException', 'XKS_PROXY_NOT_REACHABLE'],
];

describe('each failure has its exception', () => {
  test.each(failures)('%s', async (_, fault, sentence, keyException, storeException, code) => {
    const key = await newKey();
    const { KeyId, CustomKeyStoreId } = key;
    const { CiphertextBlob } = await w.call('Encrypt', { KeyId, Plaintext: Buffer.from('x') });
    double.fault = fault;
    for (const [operation, more] of [['Encrypt', { KeyId, Plaintext: Buffer.from('x') }], ['Decrypt', { CiphertextBlob }], ['GenerateDataKey', { KeyId, KeySpec: 'AES_256' }], ['ReEncrypt', { CiphertextBlob, DestinationKeyId: KeyId }]] as const) {
      const refused = await w.refusal(operation, more);
      expect(refused, operation).toMatchObject({ code: 'KMSInvalidStateException', status: 400 });
      expect(refused.message?.startsWith(sentence), refused.message).toBe(true);
    }
    double.keys.set('other', externalKey());
    const made = await w.refusal('CreateKey', { Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId, XksKeyId: 'other' });
    expect(made.code).toBe(keyException);
    expect(made.message?.startsWith(sentence), made.message).toBe(true);
    expect((await w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId, XksProxyUriPath: '/new/kms/xks/v1' })).code).toBe(storeException);
    expect((await w.refusal('CreateCustomKeyStore', input({ XksProxyUriPath: '/new/kms/xks/v1' }))).code).toBe(storeException);
    await w.call('DisconnectCustomKeyStore', { CustomKeyStoreId });
    await w.call('ConnectCustomKeyStore', { CustomKeyStoreId });
    expect(await settled(CustomKeyStoreId)).toMatchObject({ ConnectionState: 'FAILED', ConnectionErrorCode: code });
    expect(await w.refusal('ConnectCustomKeyStore', { CustomKeyStoreId })).toMatchObject({ code: 'CustomKeyStoreInvalidStateException' });
    expect(await w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId, NewCustomKeyStoreName: 'x' })).toMatchObject({ code: 'CustomKeyStoreInvalidStateException' });
    double.fault = undefined;
    await w.call('DisconnectCustomKeyStore', { CustomKeyStoreId });
    expect(await described(CustomKeyStoreId)).not.toHaveProperty('ConnectionErrorCode');
    await w.call('ConnectCustomKeyStore', { CustomKeyStoreId });
    expect((await settled(CustomKeyStoreId)).ConnectionState).toBe('CONNECTED');
    expect((await w.call('Decrypt', { CiphertextBlob })).Plaintext).toEqual(Buffer.from('x'));
    expect(JSON.stringify(await w.trail())).not.toContain('secret words');
    expect(w.log.join()).not.toContain('secret words');
    await gone(key);
  });

  test('every key manager out of service', async () => {
    double.health = ['UNAVAILABLE', 'UNAVAILABLE'];
    const refused = await w.refusal('CreateCustomKeyStore', input());
    expect(refused.code).toBe('XksProxyUriUnreachableException');
    expect(refused.message?.startsWith(text.unhealthy)).toBe(true);
    double.health = ['UNAVAILABLE', 'DEGRADED'];
    await connected();
  });

  test('nobody listens; a host that is not allowed; a certificate of another name', async () => {
    expect((await w.refusal('CreateCustomKeyStore', input({ XksProxyUriEndpoint: 'https://closed.example.com' }))).code).toBe('XksProxyUriUnreachableException');
    expect((await w.refusal('CreateCustomKeyStore', input({ XksProxyUriEndpoint: 'https://elsewhere.example.com' }))).code).toBe('XksProxyInvalidConfigurationException');
    const tls = { code: 'XksProxyUriUnreachableException', message: 'AWS KMS cannot establish a TLS connection to the external key store proxy. Verify the TLS configuration, including its certificate.' };
    expect(await w.refusal('CreateCustomKeyStore', input({ XksProxyUriEndpoint: 'https://wrong.example.com' }))).toMatchObject(tls);
    const { authorities } = proxies;
    delete proxies.authorities;
    expect(await w.refusal('CreateCustomKeyStore', input())).toMatchObject(tls);
    Object.assign(proxies, { authorities });
  });

  test('a proxy that takes its time is given up', async () => {
    proxies.timeoutMs = 100;
    double.fault = () => true;
    const refused = await w.refusal('CreateCustomKeyStore', input());
    proxies.timeoutMs = 2_000;
    expect(refused.code).toBe('XksProxyUriUnreachableException');
    expect(refused.message?.startsWith(text.time)).toBe(true);
  });

  const encrypted = (change: (answer: Body) => Body): Double['fault'] => (request, response) => {
    if (!request.path.endsWith('/encrypt')) return false;
    const key = double.keys.get(/keys\/([^/]+)/.exec(request.path)?.[1] ?? '');
    const aad = Buffer.from(String(request.body['additionalAuthenticatedData']), 'base64');
    const iv = Buffer.alloc(12, 5);
    const made = encrypt(key!.material, iv, Buffer.from(String(request.body['plaintext']), 'base64'), aad, Buffer.alloc(0));
    const whole = { ciphertext: made.ciphertext.toString('base64'), initializationVector: iv.toString('base64'), authenticationTag: made.tag.toString('base64'), ciphertextDataIntegrityValue: made.cdiv.toString('base64') };
    response.writeHead(200).end(JSON.stringify(change(whole)));
    return true;
  };
  const flipped = (text64: string) => { const bytes = Buffer.from(text64, 'base64'); bytes[0] = (bytes[0] ?? 0) ^ 1; return bytes.toString('base64'); };

  test.each<[string, (answer: Body) => Body]>([
    ['no integrity value', ({ ciphertextDataIntegrityValue: _, ...answer }) => answer],
    ['a wrong integrity value', (answer) => ({ ...answer, ciphertextDataIntegrityValue: flipped(answer.ciphertextDataIntegrityValue) })],
    ['a ciphertext that is another', (answer) => ({ ...answer, ciphertext: flipped(answer.ciphertext) })],
    ['a ciphertext that is shorter', (answer) => ({ ...answer, ciphertext: 'AAAA' })],
    ['base64 that is not', (answer) => ({ ...answer, authenticationTag: `${answer.authenticationTag}!` })],
    ['an IV of eight bytes', (answer) => ({ ...answer, initializationVector: 'AAAAAAAAAAA=' })],
    ['a tag of twelve', (answer) => ({ ...answer, authenticationTag: 'AAAAAAAAAAAAAAAA' })],
    ['metadata of 21 bytes', (answer) => ({ ...answer, ciphertextMetadata: Buffer.alloc(21).toString('base64') })],
  ])('an answer to encrypt with %s', async (_, change) => {
    const key = await newKey();
    double.fault = encrypted((answer) => answer);
    expect(await w.call('Encrypt', { KeyId: key.KeyId, Plaintext: Buffer.from('x') })).toBeDefined();
    double.fault = encrypted(change);
    const refused = await w.refusal('Encrypt', { KeyId: key.KeyId, Plaintext: Buffer.from('x') });
    expect(refused.code).toBe('KMSInvalidStateException');
    expect(refused.message?.startsWith(text.response)).toBe(true);
    await gone(key);
  });
});

/* ---- over and above ------------------------------------------------------------------------- */

test('a hundred at once, and a connection that the proxy closed meanwhile', async () => {
  const key = await newKey();
  const { KeyId } = key;
  const blobs = await Promise.all(Array.from({ length: 100 }, (_, i) => w.call('Encrypt', { KeyId, Plaintext: Buffer.from(`message ${i}`) })));
  const clear = await Promise.all(blobs.map(({ CiphertextBlob }) => w.call('Decrypt', { CiphertextBlob })));
  expect(clear.map(({ Plaintext }) => (Plaintext as Buffer).toString())).toEqual(Array.from({ length: 100 }, (_, i) => `message ${i}`));
  await gone(key);
});

test('the trail tells of each step, and of no secret', async () => {
  const key = await newKey();
  await w.call('Encrypt', { KeyId: key.KeyId, Plaintext: Buffer.from('x') });
  const events = await w.trail();
  const names = new Set(events.map(({ eventName }) => eventName));
  for (const name of ['CreateCustomKeyStore', 'ConnectCustomKeyStore', 'DescribeCustomKeyStores', 'CreateKey', 'Encrypt']) expect(names.has(name)).toBe(true);
  const made = events.find(({ eventName }) => eventName === 'CreateCustomKeyStore');
  expect(made?.requestParameters).toMatchObject({ customKeyStoreType: 'EXTERNAL_KEY_STORE', xksProxyUriEndpoint: endpoint });
  expect(JSON.stringify(events)).not.toContain(double.secret);
  expect(JSON.stringify(made)).not.toContain('AuthenticationCredential');
  await gone(key);
});

test('answers have the model\'s members and no others', async () => {
  const CustomKeyStoreId = await connected();
  for (const [operation, request] of [
    ['DescribeCustomKeyStores', {}], ['UpdateCustomKeyStore', { CustomKeyStoreId, NewCustomKeyStoreName: 'checked' }], ['DisconnectCustomKeyStore', { CustomKeyStoreId }],
    ['ConnectCustomKeyStore', { CustomKeyStoreId }], ['CreateCustomKeyStore', input({ XksProxyUriEndpoint: 'https://p.example.com', XksProxyConnectivity: 'VPC_ENDPOINT_SERVICE', XksProxyVpcEndpointServiceName: 'com.amazonaws.vpce.us-east-1.vpce-svc-1' })],
  ] as const) expect(complaints(outputOf(operation) ?? '', await w.call(operation, request))).toEqual([]);
});

test('a failure of our own is KMSInternalException; no retry of ours makes it something else', async () => {
  const { CustomKeyStoreId } = await w.call('CreateCustomKeyStore', input());
  const store = w.store as unknown as Record<string, unknown>;
  const names = ['peek', 'get', 'list', 'tx'] as const;
  for (const operation of operations) {
    for (const name of names) store[name] = name === 'peek' ? () => undefined : () => Promise.reject(new Error('the disk is on fire'));
    const refused = await w.refusal(operation, operation === 'CreateCustomKeyStore' ? input() : operation === 'DescribeCustomKeyStores' ? {} : { CustomKeyStoreId });
    for (const name of names) delete store[name];
    expect([refused.code, refused.status]).toEqual(['KMSInternalException', 500]);
  }
});

test('every exception that the model names was reached, here or by a cluster, or its reason is written down', () => {
  expect(byProxy.filter((pair) => !reached.has(pair))).toEqual([]);
  expect(byProxy.length + byModule.length + Object.keys(unreached).length).toBe(modelled);
  expect(Object.keys(unreached).filter((pair) => !errorsOf(pair.split(' ')[0] ?? '').includes(pair.split(' ')[1] ?? ''))).toEqual([]);
});

test('the construction is the one of the published vectors', () => {
  interface Case { readonly key: string; readonly [member: string]: string | null }
  const { cases } = JSON.parse(readFileSync(new URL('../vectors/xks/encrypt.json', import.meta.url), 'utf8')) as { readonly cases: readonly Case[] };
  expect(cases).toHaveLength(4);
  for (const one of cases) {
    const bytes = (member: string) => Buffer.from(one[member] ?? '', 'base64');
    const made = encrypt(Buffer.from(one.key, 'hex'), bytes('initializationVector'), bytes('plaintext'), bytes('additionalAuthenticatedData'), bytes('ciphertextMetadata'));
    expect(gcmAad(bytes('additionalAuthenticatedData'), bytes('ciphertextMetadata')).toString('hex')).toBe(one['gcmAad']);
    expect([made.ciphertext, made.tag, made.cdiv]).toEqual([bytes('ciphertext'), bytes('authenticationTag'), bytes('ciphertextDataIntegrityValue')]);
  }
});
