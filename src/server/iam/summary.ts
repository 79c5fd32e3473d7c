/** What an account has, and what it may have. */
import { limits } from '../../iam/limits.ts';
import { Entries } from '../query.ts';
import type { IamAction } from './action.ts';

const getAccountSummary: IamAction<object> = {
  readOnly: true,
  read: () => ({}),
  target: () => ({ arn: '*' }),
  async run(_, { directory, accounts, account }) {
    const census = await directory.census(account);
    const { user, group, role, managed } = limits.perAccount;
    const figures: Readonly<Record<string, number>> = {
      Users: census.user, UsersQuota: user.most, Groups: census.group, GroupsQuota: group.most, Roles: census.role, RolesQuota: role.most,
      Policies: census.managed, PoliciesQuota: managed.most, PolicySizeQuota: limits.policyBytes, VersionsPerPolicyQuota: limits.versionsPerPolicy,
      AttachedPoliciesPerUserQuota: limits.attachedPolicies, AttachedPoliciesPerGroupQuota: limits.attachedPolicies, AttachedPoliciesPerRoleQuota: limits.attachedPolicies,
      UserPolicySizeQuota: limits.inlineBytes.user, GroupPolicySizeQuota: limits.inlineBytes.group, RolePolicySizeQuota: limits.inlineBytes.role,
      AssumeRolePolicySizeQuota: limits.trustBytes, GroupsPerUserQuota: limits.groupsPerUser, AccessKeysPerUserQuota: limits.keysPerUser,
      AccountMFAEnabled: 0, AccountAccessKeysPresent: (await accounts.credentialsOf(account, undefined)).length > 0 ? 1 : 0, MFADevices: 0, MFADevicesInUse: 0,
    };
    return { SummaryMap: new Entries(figures) };
  },
};

export const summaryActions: Readonly<Record<string, IamAction<object>>> = { GetAccountSummary: getAccountSummary };
