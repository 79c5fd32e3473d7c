/** Identity and Access Management by its Query API: the actions in daily use, each asked of IAM itself. */
import { accountActions } from './iam/account.ts';
import { bind, camelled, type IamAction, type IamParts } from './iam/action.ts';
import { attachmentActions } from './iam/attachments.ts';
import { keyActions } from './iam/keys.ts';
import { policyActions } from './iam/policies.ts';
import { roleActions } from './iam/roles.ts';
import { simulationActions } from './iam/simulation.ts';
import { summaryActions } from './iam/summary.ts';
import { userActions } from './iam/users.ts';
import type { QueryService } from './query.ts';

export { camelled };
export type { IamParts };

const table: Readonly<Record<string, IamAction<object>>> = { ...userActions, ...roleActions, ...keyActions, ...policyActions, ...attachmentActions, ...summaryActions, ...accountActions, ...simulationActions };

export const iamActions: readonly string[] = Object.keys(table).sort();

export function iamService(parts: IamParts): QueryService {
  return {
    scope: 'iam',
    source: 'iam.amazonaws.com',
    version: '2010-05-08',
    namespace: 'https://iam.amazonaws.com/doc/2010-05-08/',
    global: true,
    actions: new Map(Object.entries(table).map(([name, action]) => [name, bind(name, action, parts)])),
  };
}
