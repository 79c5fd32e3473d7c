/** Every exception that the model names for custom key stores: reached here against a strict proxy, or in the tests that have a module. Counted. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Refused, World } from '../world.ts';
import { makeWorld, type Body } from '../world.ts';
import { endpoint, externalKey, host, path, startDouble, type Double } from '../xks-double.ts';
import { keyStoreOperations } from './kit.ts';
import { complaints, errorsOf, statusOf } from './model.ts';

let double: Double;
let w: World;
beforeAll(async () => {
  double = await startDouble();
  const settings = double.settings();
  const to = settings.connectTo?.get(host);
  if (to === undefined) throw new Error('the double listens nowhere');
  w = await makeWorld({ keyStoreSettings: { clusters: new Map(), proxies: {
    ...settings, hosts: new Set([host, 'closed.example.com']), connectTo: new Map([[host, to], ['closed.example.com', { host: '127.0.0.1', port: 1 }]]),
  } } });
});
afterAll(async () => {
  await w.close();
  await double.close();
});

let count = 0;
const input = (more: Body = {}): Body => ({
  CustomKeyStoreName: `store ${++count}`, CustomKeyStoreType: 'EXTERNAL_KEY_STORE', XksProxyConnectivity: 'PUBLIC_ENDPOINT', XksProxyUriEndpoint: endpoint, XksProxyUriPath: path,
  XksProxyAuthenticationCredential: { AccessKeyId: double.accessKeyId, RawSecretAccessKey: double.secret }, ...more,
});
/** Private ones are not asked before they are connected, so any number can be made. */
const privately = (n: number, more: Body = {}): Body => input({
  XksProxyConnectivity: 'VPC_ENDPOINT_SERVICE', XksProxyUriEndpoint: `https://private-${n}.example.com`, XksProxyUriPath: `/p${n}/kms/xks/v1`,
  XksProxyVpcEndpointServiceName: `com.amazonaws.vpce.us-east-1.vpce-svc-${String(n).padStart(8, '0')}`, ...more,
});

/** The store of a test, and whatever else is made, gone afterwards. */
async function withStore(connected: boolean, work: (CustomKeyStoreId: string, made: Body) => Promise<Refused>): Promise<Refused> {
  const made = input();
  const { CustomKeyStoreId } = await w.call('CreateCustomKeyStore', made);
  try {
    if (connected) await connect(CustomKeyStoreId);
    return await work(CustomKeyStoreId, made);
  } finally {
    double.fault = undefined;
    await clear();
  }
}

async function connect(CustomKeyStoreId: string): Promise<void> {
  await w.call('ConnectCustomKeyStore', { CustomKeyStoreId });
  expect(await settled(CustomKeyStoreId)).toBe('CONNECTED');
}

async function settled(CustomKeyStoreId: string): Promise<string> {
  for (;;) {
    const [{ ConnectionState }] = (await w.call('DescribeCustomKeyStores', { CustomKeyStoreId })).CustomKeyStores;
    if (ConnectionState !== 'CONNECTING') return ConnectionState;
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
}

async function clear(): Promise<void> {
  for (const { KeyId } of (await w.call('ListKeys', { Limit: 1000 })).Keys) await w.ask('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
  w.pass(8 * 86_400_000);
  await w.caretaker.run();
  for (const { CustomKeyStoreId, ConnectionState } of (await w.call('DescribeCustomKeyStores')).CustomKeyStores as Body[]) {
    if (ConnectionState !== 'DISCONNECTED') await w.call('DisconnectCustomKeyStore', { CustomKeyStoreId });
    await w.call('DeleteCustomKeyStore', { CustomKeyStoreId });
  }
}

async function whileStoreFails(operation: string): Promise<Refused> {
  const store = w.store as unknown as Record<string, unknown>;
  const names = ['peek', 'get', 'list', 'tx'];
  for (const name of names) store[name] = name === 'peek' ? () => undefined : () => Promise.reject(new Error('the disk is on fire'));
  try {
    return await w.refusal(operation, operation === 'CreateCustomKeyStore' ? input() : operation === 'DescribeCustomKeyStores' ? {} : { CustomKeyStoreId: 'cks-1234567890abcdef0' });
  } finally {
    for (const name of names) delete store[name];
  }
}

const nowhere = { CustomKeyStoreId: 'cks-1234567890abcdef0' };
const garbled: Double['fault'] = (_, response) => {
  response.writeHead(200, { 'content-type': 'application/json' }).end('[]');
  return true;
};
const credential = (RawSecretAccessKey: string) => ({ AccessKeyId: double.accessKeyId, RawSecretAccessKey });

/** What breaks a store that is made, breaks one that is changed. */
const bad: Readonly<Record<string, () => Body>> = {
  XksProxyUriUnreachableException: () => ({ XksProxyUriEndpoint: 'https://closed.example.com' }),
  XksProxyIncorrectAuthenticationCredentialException: () => ({ XksProxyAuthenticationCredential: credential('a'.repeat(43)) }),
  XksProxyInvalidConfigurationException: () => ({ XksProxyUriPath: '/wrong/kms/xks/v1' }),
  XksProxyInvalidResponseException: () => {
    double.fault = garbled;
    return { XksProxyUriPath: '/another/kms/xks/v1' };
  },
};

const ways: Readonly<Record<string, Readonly<Record<string, () => Promise<Refused>>>>> = {
  ConnectCustomKeyStore: {
    CustomKeyStoreNotFoundException: () => w.refusal('ConnectCustomKeyStore', nowhere),
    // One that failed must be disconnected first; one that is connected already is none the worse.
    CustomKeyStoreInvalidStateException: () => withStore(false, async (CustomKeyStoreId) => {
      double.fault = garbled;
      await w.call('ConnectCustomKeyStore', { CustomKeyStoreId });
      expect(await settled(CustomKeyStoreId)).toBe('FAILED');
      return w.refusal('ConnectCustomKeyStore', { CustomKeyStoreId });
    }),
  },
  CreateCustomKeyStore: {
    CustomKeyStoreNameInUseException: () => withStore(false, (_, { CustomKeyStoreName }) => w.refusal('CreateCustomKeyStore', privately(1, { CustomKeyStoreName }))),
    CloudHsmClusterNotFoundException: () => w.refusal('CreateCustomKeyStore', { CustomKeyStoreName: 'hsm', CloudHsmClusterId: 'cluster-aaaaaaaaaaa', TrustAnchorCertificate: 'x', KeyStorePassword: 'password' }),
    LimitExceededException: () => withStore(false, async () => {
      for (let n = 1; n < 10; n++) await w.call('CreateCustomKeyStore', privately(n));
      return w.refusal('CreateCustomKeyStore', privately(10));
    }),
    XksProxyUriInUseException: () => withStore(false, () => w.refusal('CreateCustomKeyStore', input())),
    XksProxyUriEndpointInUseException: () => withStore(false, async () => {
      const made = privately(1);
      await w.call('CreateCustomKeyStore', made);
      return w.refusal('CreateCustomKeyStore', input({ XksProxyUriEndpoint: made.XksProxyUriEndpoint, XksProxyUriPath: '/other/kms/xks/v1' }));
    }),
    XksProxyVpcEndpointServiceInUseException: () => withStore(false, async () => {
      const made = privately(1);
      await w.call('CreateCustomKeyStore', made);
      return w.refusal('CreateCustomKeyStore', privately(2, { XksProxyVpcEndpointServiceName: made.XksProxyVpcEndpointServiceName }));
    }),
    ...Object.fromEntries(Object.entries(bad).map(([exception, more]) => [exception, async () => {
      try {
        return await w.refusal('CreateCustomKeyStore', input(more()));
      } finally {
        double.fault = undefined;
      }
    }])),
  },
  DeleteCustomKeyStore: {
    CustomKeyStoreNotFoundException: () => w.refusal('DeleteCustomKeyStore', nowhere),
    CustomKeyStoreInvalidStateException: () => withStore(true, (CustomKeyStoreId) => w.refusal('DeleteCustomKeyStore', { CustomKeyStoreId })),
    CustomKeyStoreHasCMKsException: () => withStore(true, async (CustomKeyStoreId) => {
      await makeKey(CustomKeyStoreId);
      await w.call('DisconnectCustomKeyStore', { CustomKeyStoreId });
      return w.refusal('DeleteCustomKeyStore', { CustomKeyStoreId });
    }),
  },
  DescribeCustomKeyStores: {
    CustomKeyStoreNotFoundException: () => w.refusal('DescribeCustomKeyStores', nowhere),
    InvalidMarkerException: () => w.refusal('DescribeCustomKeyStores', { Marker: 'made up' }),
  },
  DisconnectCustomKeyStore: {
    CustomKeyStoreNotFoundException: () => w.refusal('DisconnectCustomKeyStore', nowhere),
    CustomKeyStoreInvalidStateException: () => withStore(false, (CustomKeyStoreId) => w.refusal('DisconnectCustomKeyStore', { CustomKeyStoreId })),
  },
  UpdateCustomKeyStore: {
    CustomKeyStoreNotFoundException: () => w.refusal('UpdateCustomKeyStore', { ...nowhere, NewCustomKeyStoreName: 'new' }),
    CustomKeyStoreInvalidStateException: () => withStore(true, (CustomKeyStoreId) => w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId, XksProxyUriEndpoint: endpoint })),
    CustomKeyStoreNameInUseException: () => withStore(false, async (CustomKeyStoreId) => {
      const other = privately(1);
      await w.call('CreateCustomKeyStore', other);
      return w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId, NewCustomKeyStoreName: other.CustomKeyStoreName });
    }),
    XksProxyUriInUseException: () => withStore(false, async () => {
      const { CustomKeyStoreId } = await w.call('CreateCustomKeyStore', privately(1));
      return w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId, XksProxyConnectivity: 'PUBLIC_ENDPOINT', XksProxyUriEndpoint: endpoint, XksProxyUriPath: path });
    }),
    XksProxyUriEndpointInUseException: () => withStore(false, async (CustomKeyStoreId) => {
      const other = privately(1);
      await w.call('CreateCustomKeyStore', other);
      return w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId, XksProxyUriEndpoint: other.XksProxyUriEndpoint, XksProxyUriPath: '/other/kms/xks/v1' });
    }),
    XksProxyVpcEndpointServiceInUseException: () => withStore(false, async () => {
      const [one, two] = [privately(1), privately(2)];
      await w.call('CreateCustomKeyStore', one);
      const { CustomKeyStoreId } = await w.call('CreateCustomKeyStore', two);
      return w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId, XksProxyVpcEndpointServiceName: one.XksProxyVpcEndpointServiceName });
    }),
    ...Object.fromEntries(Object.entries(bad).map(([exception, more]) => [exception, () => withStore(false, (CustomKeyStoreId) => w.refusal('UpdateCustomKeyStore', { CustomKeyStoreId, ...more() }))])),
  },
  CreateKey: {
    CustomKeyStoreInvalidStateException: () => withStore(false, (CustomKeyStoreId) => w.refusal('CreateKey', { Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId, XksKeyId: 'any' })),
    XksKeyNotFoundException: () => withStore(true, (CustomKeyStoreId) => w.refusal('CreateKey', { Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId, XksKeyId: 'none' })),
    XksKeyAlreadyInUseException: () => withStore(true, async (CustomKeyStoreId) => {
      const XksKeyId = await makeKey(CustomKeyStoreId);
      return w.refusal('CreateKey', { Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId, XksKeyId });
    }),
    XksKeyInvalidConfigurationException: () => withStore(true, (CustomKeyStoreId) => {
      double.keys.set('odd', { ...externalKey(), spec: 'RSA_2048' });
      return w.refusal('CreateKey', { Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId, XksKeyId: 'odd' });
    }),
  },
  GenerateRandom: {
    UnsupportedOperationException: () => withStore(true, (CustomKeyStoreId) => w.refusal('GenerateRandom', { NumberOfBytes: 8, CustomKeyStoreId })),
  },
};

async function makeKey(CustomKeyStoreId: string): Promise<string> {
  const XksKeyId = `key-${++count}`;
  double.keys.set(XksKeyId, externalKey());
  await w.call('CreateKey', { Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId, XksKeyId });
  return XksKeyId;
}

/** With a module in a process of its own: there. */
const withModule = readFileSync(new URL('../keystores-module.test.ts', import.meta.url), 'utf8');
const there = (operation: string, exception: string): boolean =>
  withModule.split('\n').some((line) => line.includes(`'${operation}'`) && line.includes(`'${exception}'`));

const noVpc = 'VPC endpoint services are an address here: there is none to look up';
const unreached: Readonly<Record<string, string>> = {
  'CreateCustomKeyStore XksProxyVpcEndpointServiceNotFoundException': noVpc, 'CreateCustomKeyStore XksProxyVpcEndpointServiceInvalidConfigurationException': noVpc,
  'UpdateCustomKeyStore XksProxyVpcEndpointServiceNotFoundException': noVpc, 'UpdateCustomKeyStore XksProxyVpcEndpointServiceInvalidConfigurationException': noVpc,
  'ConnectCustomKeyStore CloudHsmClusterInvalidConfigurationException': 'a module that cannot be used shows in the connection state',
  'UpdateCustomKeyStore CloudHsmClusterNotActiveException': 'a change asks nothing of the module but that its cluster is related',
  'UpdateCustomKeyStore CloudHsmClusterInvalidConfigurationException': 'a change asks nothing of the module but that its cluster is related',
};

const ours = [...keyStoreOperations.flatMap((operation) => errorsOf(operation).map((exception) => [operation, exception] as const)),
  ...['CustomKeyStoreInvalidStateException', 'CloudHsmClusterInvalidConfigurationException', 'XksKeyInvalidConfigurationException', 'XksKeyAlreadyInUseException', 'XksKeyNotFoundException'].map((exception) => ['CreateKey', exception] as const),
  ...['UnsupportedOperationException', 'CustomKeyStoreInvalidStateException'].map((exception) => ['GenerateRandom', exception] as const)];
const wayOf = (operation: string, exception: string) => ways[operation]?.[exception] ?? (exception === 'KMSInternalException' ? () => whileStoreFails(operation) : undefined);

describe.each([...new Set(ours.map(([operation]) => operation))])('%s', (operation) => {
  for (const [of, exception] of ours) {
    const way = of === operation ? wayOf(operation, exception) : undefined;
    if (way !== undefined) {
      test(exception, async () => {
        const { code, message, status } = await way();
        expect([code, status], message).toEqual([exception, statusOf(exception)]);
      });
    }
  }
});

test('answers have exactly their members', async () => {
  const made = await w.call('CreateCustomKeyStore', input());
  expect(Object.keys(made)).toEqual(['CustomKeyStoreId']);
  const { CustomKeyStoreId } = made;
  const entry = async (): Promise<Body> => {
    const page = await w.call('DescribeCustomKeyStores', { CustomKeyStoreId });
    expect(complaints('DescribeCustomKeyStoresResponse', page)).toEqual([]);
    expect(Object.keys(page).sort()).toEqual(['CustomKeyStores', 'Truncated']);
    return page.CustomKeyStores[0];
  };
  const members = ['ConnectionState', 'CreationDate', 'CustomKeyStoreId', 'CustomKeyStoreName', 'CustomKeyStoreType', 'XksProxyConfiguration'];
  expect(Object.keys(await entry()).sort()).toEqual(members);
  expect(Object.keys((await entry()).XksProxyConfiguration).sort()).toEqual(['AccessKeyId', 'Connectivity', 'UriEndpoint', 'UriPath']);
  expect(await w.call('ConnectCustomKeyStore', { CustomKeyStoreId })).toEqual({});
  expect(await settled(CustomKeyStoreId)).toBe('CONNECTED');
  const XksKeyId = await makeKey(CustomKeyStoreId);
  const { KeyId } = (await w.call('ListKeys', { Limit: 1000 })).Keys.at(-1);
  const described = await w.call('DescribeKey', { KeyId });
  expect(complaints('DescribeKeyResponse', described)).toEqual([]);
  expect(described.KeyMetadata).toMatchObject({ Origin: 'EXTERNAL_KEY_STORE', CustomKeyStoreId, XksKeyConfiguration: { Id: XksKeyId } });
  expect(described.KeyMetadata).not.toHaveProperty('CurrentKeyMaterialId');
  expect(await w.call('DisconnectCustomKeyStore', { CustomKeyStoreId })).toEqual({});
  expect(await w.call('UpdateCustomKeyStore', { CustomKeyStoreId, NewCustomKeyStoreName: 'renamed' })).toEqual({});
  await clear();
});

test('every modelled exception is reached here, reached with a module, or its reason is written down', () => {
  const missing = ours.filter(([operation, exception]) => wayOf(operation, exception) === undefined && !there(operation, exception) && unreached[`${operation} ${exception}`] === undefined);
  expect(missing.map((pair) => pair.join(' '))).toEqual([]);
  const stale = Object.keys(unreached).filter((pair) => {
    const [operation = '', exception = ''] = pair.split(' ');
    return wayOf(operation, exception) !== undefined || there(operation, exception) || !errorsOf(operation).includes(exception);
  });
  expect(stale).toEqual([]);
});
