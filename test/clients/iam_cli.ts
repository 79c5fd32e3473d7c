/** One call at least of every IAM, STS and CloudTrail action by the AWS CLI: what is asked, and what the answer must hold. */
export type Answer = Readonly<Record<string, unknown>>;
export interface Step {
  /** After `aws`; `$name` is what an earlier step kept. */
  readonly ask: string;
  /** With the access key that was kept as `key` and `secret`; else the first account's root. */
  readonly asUser?: true;
  readonly holds?: unknown;
  /** Kept for later steps: name, and the path to it in the answer. */
  readonly keep?: Readonly<Record<string, string>>;
}

const document = (action: string): string => JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: action, Resource: '*' }] });
const trust = (account: string): string => JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { AWS: account } }] });
const conditional = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'kms:*', Resource: '*', Condition: { StringEquals: { 'kms:ViaService': '${aws:username}' } } }] });

/** In an order in which each finds what it needs, and takes away at the end what there is. */
export const steps = (account: string): readonly Step[] => [
  { ask: 'sts get-caller-identity', holds: { Account: account } },
  { ask: 'sts get-session-token', holds: { Credentials: { SessionToken: 'text' } } },
  { ask: 'iam create-user --user-name u --path /team/ --tags Key=a,Value=1', holds: { User: { UserName: 'u', Path: '/team/' } }, keep: { user: 'User.Arn' } },
  { ask: 'iam wait user-exists --user-name u' },
  { ask: 'iam get-user --user-name u', holds: { User: { Tags: [{ Key: 'a', Value: '1' }] } } },
  { ask: 'iam list-users --path-prefix /team/', holds: { Users: [{ UserName: 'u' }] } },
  { ask: 'iam tag-user --user-name u --tags Key=b,Value=2' },
  { ask: 'iam list-user-tags --user-name u', holds: { Tags: [{ Key: 'a' }, { Key: 'b' }] } },
  { ask: 'iam untag-user --user-name u --tag-keys a b' },
  { ask: 'iam create-access-key --user-name u', holds: { AccessKey: { Status: 'Active' } }, keep: { key: 'AccessKey.AccessKeyId', secret: 'AccessKey.SecretAccessKey' } },
  { ask: 'iam list-access-keys --user-name u', holds: { AccessKeyMetadata: [{ Status: 'Active' }] } },
  { ask: 'iam update-access-key --user-name u --access-key-id $key --status Inactive' },
  { ask: 'iam get-access-key-last-used --access-key-id $key', holds: { UserName: 'u', AccessKeyLastUsed: { ServiceName: 'N/A' } } },
  { ask: 'iam update-access-key --user-name u --access-key-id $key --status Active' },
  { ask: 'sts get-access-key-info --access-key-id $key', holds: { Account: account } },
  { ask: 'iam create-group --group-name g', holds: { Group: { GroupName: 'g' } } },
  { ask: 'iam list-groups', holds: { Groups: [{ GroupName: 'g' }] } },
  { ask: 'iam add-user-to-group --group-name g --user-name u' },
  { ask: 'iam get-group --group-name g', holds: { Users: [{ UserName: 'u' }] } },
  { ask: 'iam list-groups-for-user --user-name u', holds: { Groups: [{ GroupName: 'g' }] } },
  { ask: `iam create-role --role-name r --assume-role-policy-document ${trust(account)}`, holds: { Role: { RoleName: 'r' } }, keep: { role: 'Role.Arn' } },
  { ask: 'iam wait role-exists --role-name r' },
  { ask: 'iam get-role --role-name r', holds: { Role: { MaxSessionDuration: 3600 } } },
  { ask: 'iam list-roles', holds: { Roles: [{ RoleName: 'r' }] } },
  { ask: 'iam update-role --role-name r --description one --max-session-duration 7200' },
  { ask: 'iam update-role-description --role-name r --description two', holds: { Role: { Description: 'two', MaxSessionDuration: 7200 } } },
  { ask: `iam update-assume-role-policy --role-name r --policy-document ${trust(account)}` },
  { ask: 'iam tag-role --role-name r --tags Key=a,Value=1' },
  { ask: 'iam list-role-tags --role-name r', holds: { Tags: [{ Key: 'a', Value: '1' }] } },
  { ask: 'iam untag-role --role-name r --tag-keys a' },
  { ask: `iam create-policy --policy-name p --policy-document ${document('kms:Encrypt')}`, holds: { Policy: { DefaultVersionId: 'v1' } }, keep: { policy: 'Policy.Arn' } },
  { ask: 'iam wait policy-exists --policy-arn $policy' },
  { ask: 'iam get-policy --policy-arn $policy', holds: { Policy: { PolicyName: 'p' } } },
  { ask: 'iam list-policies --scope Local', holds: { Policies: [{ PolicyName: 'p' }] } },
  { ask: 'iam tag-policy --policy-arn $policy --tags Key=a,Value=1 Key=b,Value=2' },
  { ask: 'iam untag-policy --policy-arn $policy --tag-keys A' },
  { ask: 'iam list-policy-tags --policy-arn $policy', holds: { Tags: [{ Key: 'b', Value: '2' }] } },
  { ask: `iam create-policy-version --policy-arn $policy --policy-document ${document('kms:Decrypt')}`, holds: { PolicyVersion: { VersionId: 'v2', IsDefaultVersion: false } } },
  { ask: 'iam set-default-policy-version --policy-arn $policy --version-id v2' },
  { ask: 'iam get-policy-version --policy-arn $policy --version-id v2', holds: { PolicyVersion: { IsDefaultVersion: true, Document: JSON.parse(document('kms:Decrypt')) as unknown } } },
  { ask: 'iam list-policy-versions --policy-arn $policy', holds: { Versions: [{ VersionId: 'v2' }, { VersionId: 'v1' }] } },
  { ask: 'iam delete-policy-version --policy-arn $policy --version-id v1' },
  ...(['user', 'group', 'role'] as const).flatMap((kind): Step[] => {
    const name = `--${kind}-name ${kind.charAt(0)}`;
    return [
      { ask: `iam put-${kind}-policy ${name} --policy-name inline --policy-document ${document('sts:AssumeRole')}` },
      { ask: `iam get-${kind}-policy ${name} --policy-name inline`, holds: { PolicyDocument: JSON.parse(document('sts:AssumeRole')) as unknown } },
      { ask: `iam list-${kind}-policies ${name}`, holds: { PolicyNames: ['inline'] } },
      { ask: `iam attach-${kind}-policy ${name} --policy-arn $policy` },
      { ask: `iam list-attached-${kind}-policies ${name}`, holds: { AttachedPolicies: [{ PolicyName: 'p' }] } },
    ];
  }),
  { asUser: true, ask: 'sts assume-role --role-arn $role --role-session-name one', holds: { AssumedRoleUser: { Arn: `arn:aws:sts::${account}:assumed-role/r/one` } } },
  { ask: 'iam list-entities-for-policy --policy-arn $policy', holds: { PolicyUsers: [{ UserName: 'u' }], PolicyGroups: [{ GroupName: 'g' }], PolicyRoles: [{ RoleName: 'r' }] } },
  { ask: 'iam put-user-permissions-boundary --user-name u --permissions-boundary $policy' },
  { ask: 'iam put-role-permissions-boundary --role-name r --permissions-boundary $policy' },
  { ask: 'iam simulate-principal-policy --policy-source-arn $user --action-names kms:Decrypt kms:Encrypt', holds: { EvaluationResults: [{ EvalDecision: 'allowed', MatchedStatements: [{ SourcePolicyId: 'p' }] }, { EvalDecision: 'implicitDeny' }] } },
  { ask: `iam simulate-custom-policy --policy-input-list ${document('kms:Encrypt')} --action-names kms:Encrypt`, holds: { EvaluationResults: [{ EvalDecision: 'allowed', MatchedStatements: [{ SourcePolicyId: 'PolicyInputList.1' }] }] } },
  { ask: `iam get-context-keys-for-custom-policy --policy-input-list ${conditional}`, holds: { ContextKeyNames: ['aws:username', 'kms:ViaService'] } },
  { ask: `iam get-context-keys-for-principal-policy --policy-source-arn $user --policy-input-list ${conditional}`, holds: { ContextKeyNames: ['aws:username', 'kms:ViaService'] } },
  { ask: 'iam create-account-alias --account-alias strong-room' },
  { ask: 'iam list-account-aliases', holds: { AccountAliases: ['strong-room'] } },
  { ask: 'iam get-account-summary', holds: { SummaryMap: { Users: 1, Groups: 1, Roles: 1, Policies: 1 } } },
  { ask: 'iam get-account-authorization-details', holds: { UserDetailList: [{ UserName: 'u', GroupList: ['g'], UserPolicyList: [{ PolicyName: 'inline' }] }], GroupDetailList: [{ GroupName: 'g' }], RoleDetailList: [{ RoleName: 'r' }], Policies: [{ PolicyName: 'p', PolicyVersionList: [{ VersionId: 'v2' }] }] } },
  { ask: 'iam generate-credential-report', holds: { State: 'COMPLETE' } },
  { ask: 'iam get-credential-report', holds: { ReportFormat: 'text/csv' } },
  { ask: 'cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=CreateRole', holds: { Events: [{ EventName: 'CreateRole', EventSource: 'iam.amazonaws.com' }] } },
  { ask: 'iam delete-account-alias --account-alias strong-room' },
  { ask: 'iam delete-user-permissions-boundary --user-name u' },
  { ask: 'iam delete-role-permissions-boundary --role-name r' },
  ...(['user', 'group', 'role'] as const).flatMap((kind): Step[] => [
    { ask: `iam detach-${kind}-policy --${kind}-name ${kind.charAt(0)} --policy-arn $policy` },
    { ask: `iam delete-${kind}-policy --${kind}-name ${kind.charAt(0)} --policy-name inline` },
  ]),
  { ask: 'iam remove-user-from-group --group-name g --user-name u' },
  { ask: 'iam update-group --group-name g --new-group-name g2' },
  { ask: 'iam delete-group --group-name g2' },
  { ask: 'iam delete-access-key --user-name u --access-key-id $key' },
  { ask: 'iam update-user --user-name u --new-user-name u2' },
  { ask: 'iam delete-user --user-name u2' },
  { ask: 'iam delete-role --role-name r' },
  { ask: 'iam delete-policy --policy-arn $policy' },
];
