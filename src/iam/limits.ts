/** AWS's default quotas of IAM. */
export const limits = {
  perAccount: {
    user: { name: 'UsersPerAccount', most: 5000 },
    group: { name: 'GroupsPerAccount', most: 300 },
    role: { name: 'RolesPerAccount', most: 1000 },
    managed: { name: 'PoliciesPerAccount', most: 1500 },
  },
  groupsPerUser: 10,
  keysPerUser: 2,
  attachedPolicies: 10,
  /** Of all inline policies together, white space not counted. */
  inlineBytes: { user: 2048, group: 5120, role: 10_240 },
  policyBytes: 6144,
  trustBytes: 2048,
  versionsPerPolicy: 5,
  tags: 50,
  /** Session policies, documents and ARNs together. */
  sessionPolicyBytes: 2048,
} as const;
