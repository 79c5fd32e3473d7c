/** The Security Token Service: who am I. */
import type { Action, QueryService } from './query.ts';

/** Needs no permission: AWS answers it to whoever can sign. */
const getCallerIdentity: Action = {
  readOnly: true,
  run: ({ caller }) => ({ result: { Arn: caller.arn, UserId: caller.principalId, Account: caller.account } }),
};

export const sts: QueryService = {
  scope: 'sts',
  source: 'sts.amazonaws.com',
  version: '2011-06-15',
  namespace: 'https://sts.amazonaws.com/doc/2011-06-15/',
  global: true,
  actions: new Map([['GetCallerIdentity', getCallerIdentity]]),
};
