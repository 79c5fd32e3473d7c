/** Managed policies that every account has (`arn:aws:iam::aws:policy/…`): those that mean something here. */
import { parsePolicy, type Policy } from './policy.ts';

export interface BuiltInPolicy {
  readonly arn: string;
  readonly name: string;
  readonly policyId: string;
  readonly description: string;
  readonly text: string;
  readonly policy: Policy;
}

const rows: readonly (readonly [name: string, policyId: string, description: string, statement: unknown])[] = [
  ['AdministratorAccess', 'ANPAIWMBCKSKIEE64ZLYK', 'Provides full access to AWS services and resources.', { Effect: 'Allow', Action: '*', Resource: '*' }],
  ['PowerUserAccess', 'ANPAJYRXTHIB4FOVS3ZXS', 'Provides full access to AWS services and resources, but does not allow management of Users and groups.', [
    { Effect: 'Allow', NotAction: ['iam:*', 'organizations:*', 'account:*'], Resource: '*' },
    { Effect: 'Allow', Action: ['iam:ListRoles', 'iam:GetRole', 'iam:GetAccountSummary'], Resource: '*' },
  ]],
  ['IAMFullAccess', 'ANPAI7XKCFMBPM3QQRRVQ', 'Provides full access to IAM.', { Effect: 'Allow', Action: 'iam:*', Resource: '*' }],
  ['IAMReadOnlyAccess', 'ANPAJKSO7NDY4T57MWDSQ', 'Provides read only access to IAM.', {
    Effect: 'Allow', Action: ['iam:Get*', 'iam:List*', 'iam:SimulateCustomPolicy', 'iam:SimulatePrincipalPolicy'], Resource: '*',
  }],
  ['AWSKeyManagementServicePowerUser', 'ANPAJNPP7PPPPMJRV2SA4', 'Provides access to AWS Key Management Service (KMS).', {
    Effect: 'Allow', Resource: '*',
    Action: [
      'kms:CreateAlias', 'kms:CreateKey', 'kms:DeleteAlias', 'kms:Describe*', 'kms:GenerateRandom', 'kms:Get*', 'kms:List*',
      'kms:TagResource', 'kms:UntagResource', 'iam:ListGroups', 'iam:ListRoles', 'iam:ListUsers',
    ],
  }],
  ['AWSCloudTrail_ReadOnlyAccess', 'ANPAZKAPJZG4KMRKHQ5IK', 'Provides read only access to events.', { Effect: 'Allow', Action: ['cloudtrail:Get*', 'cloudtrail:Describe*', 'cloudtrail:List*', 'cloudtrail:LookupEvents'], Resource: '*' }],
];

export const builtInPolicies: ReadonlyMap<string, BuiltInPolicy> = new Map(rows.map(([name, policyId, description, statement]) => {
  const text = JSON.stringify({ Version: '2012-10-17', Statement: statement }, undefined, 2);
  const arn = `arn:aws:iam::aws:policy/${name}`;
  return [arn, { arn, name, policyId, description, text, policy: parsePolicy(text, 'identity') }];
}));
