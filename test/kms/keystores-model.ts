/** Which exceptions the model names for custom key stores, and where each is reached: the two test files share the list. */
import { errorsOf } from './parity/model.ts';
import type { World } from './world.ts';

export const operations = ['ConnectCustomKeyStore', 'CreateCustomKeyStore', 'DeleteCustomKeyStore', 'DescribeCustomKeyStores', 'DisconnectCustomKeyStore', 'UpdateCustomKeyStore'] as const;

/** Of operations that take other exceptions too: those that only a custom key store leads to. */
const others: Readonly<Record<string, readonly string[]>> = {
  CreateKey: [
    'CloudHsmClusterInvalidConfigurationException', 'CustomKeyStoreInvalidStateException', 'CustomKeyStoreNotFoundException', 'XksKeyAlreadyInUseException', 'XksKeyInvalidConfigurationException',
    'XksKeyNotFoundException',
  ],
  GenerateRandom: ['CustomKeyStoreInvalidStateException', 'CustomKeyStoreNotFoundException', 'DependencyTimeoutException', 'UnsupportedOperationException'],
};

const cluster = [
  'CloudHsmClusterInUseException', 'CloudHsmClusterInvalidConfigurationException', 'CloudHsmClusterNotActiveException', 'CloudHsmClusterNotFoundException', 'CloudHsmClusterNotRelatedException',
  'IncorrectTrustAnchorException', 'DependencyTimeoutException',
];
const noVpc = 'there is no VPC here: a service\'s name is kept and plays no part';

export const unreached: Readonly<Record<string, string>> = {
  'ConnectCustomKeyStore CloudHsmClusterInvalidConfigurationException': 'connecting goes on when it is answered: the ConnectionErrorCode tells',
  ...Object.fromEntries(['CreateCustomKeyStore', 'UpdateCustomKeyStore'].flatMap((operation) =>
    ['NotFound', 'InvalidConfiguration'].map((what) => [`${operation} XksProxyVpcEndpointService${what}Exception`, noVpc]))),
};

const all = [...operations.flatMap((operation) => errorsOf(operation).map((code) => [operation, code] as const)), ...Object.entries(others).flatMap(([operation, codes]) => codes.map((code) => [operation, code] as const))];
/** Clusters alone give random bytes. */
const needsCluster = (operation: string, code: string): boolean => cluster.includes(code) || (operation === 'GenerateRandom' && code !== 'UnsupportedOperationException');
const due = (isCluster: boolean): readonly string[] => all.filter(([operation, code]) => needsCluster(operation, code) === isCluster).map((pair) => pair.join(' ')).filter((pair) => unreached[pair] === undefined);

/** By clusters, and by everything else. */
export const byModule = due(true);
export const byProxy = due(false);
export const count = all.length;

/** Notes what is refused, as the test goes. */
export function noting(w: World, reached: Set<string>): World {
  return {
    ...w,
    async ask(operation, input, as) {
      const answer = await w.ask(operation, input, as);
      if (!answer.ok) reached.add(`${operation} ${answer.error.code}`);
      return answer;
    },
    async refusal(operation, input, as) {
      const refused = await w.refusal(operation, input, as);
      reached.add(`${operation} ${refused.code}`);
      return refused;
    },
  };
}
