"""IAM and STS by boto3 against a running server, and policies that bite on KMS. Prints one JSON line a check."""
import json
import os
import sys
import traceback
import uuid

import boto3
import botocore.exceptions
from botocore.config import Config

no_retries = Config(retries={"total_max_attempts": 1})
iam = boto3.client("iam", config=no_retries)
sts = boto3.client("sts", config=no_retries)
kms = boto3.client("kms", config=no_retries)
account = sts.get_caller_identity()["Account"]
checks = []


def check(fn):
    checks.append(fn)
    return fn


def refusal(fn, *args, **kwargs):
    """(code, sentence) of a refusal."""
    try:
        fn(*args, **kwargs)
    except botocore.exceptions.ClientError as e:
        assert e.response["ResponseMetadata"]["RequestId"], "no request id"
        return e.response["Error"]["Code"], e.response["Error"].get("Message", "")
    raise AssertionError("it was allowed")


def fresh(prefix="x"):
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def doc(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **condition):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **({"Condition": condition} if condition else {})}


def deny(action, resource="*", **condition):
    return {**allow(action, resource, **condition), "Effect": "Deny"}


def client(service, key):
    return boto3.client(
        service, config=no_retries, aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"], aws_session_token=key.get("SessionToken"))


def user(*statements, **more):
    """A fresh user with one inline policy; its name and access key."""
    name = fresh("user")
    iam.create_user(UserName=name, **more)
    if statements:
        iam.put_user_policy(UserName=name, PolicyName="inline", PolicyDocument=doc(*statements))
    return name, iam.create_access_key(UserName=name)["AccessKey"]


def new_key(**more):
    return kms.create_key(**more)["KeyMetadata"]["Arn"]


# Root credentials of a second account.
other = json.loads(os.environ["OTHER_ACCOUNT"])
other_key = {"AccessKeyId": other["accessKeyId"], "SecretAccessKey": other["secretAccessKey"]}


def trust(*principals, **condition):
    return doc({"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Principal": {"AWS": list(principals)}, **({"Condition": condition} if condition else {})})


def role(trusted, *statements, **more):
    name = fresh("role")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusted, **more)["Role"]["Arn"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=doc(*statements))
    return arn


def assume(key, arn, name="session", **more):
    return client("sts", key).assume_role(RoleArn=arn, RoleSessionName=name, **more)


def allowed(fn, *args, **kwargs):
    fn(*args, **kwargs)


def denied(fn, *args, **kwargs):
    code, sentence = refusal(fn, *args, **kwargs)
    assert code == "AccessDeniedException", (code, sentence)
    return sentence


# ---- the API --------------------------------------------------------------------------------


@check
def users_come_change_and_go():
    name = fresh()
    made = iam.create_user(UserName=name, Path="/team/", Tags=[{"Key": "a", "Value": "1"}])["User"]
    assert made["Arn"] == f"arn:aws:iam::{account}:user/team/{name}", made
    assert made["UserId"].startswith("AIDA")
    assert refusal(iam.create_user, UserName=name.upper()) == ("EntityAlreadyExists", f"User with name {name.upper()} already exists.")
    renamed = fresh()
    iam.update_user(UserName=name, NewUserName=renamed, NewPath="/other/")
    got = iam.get_user(UserName=renamed)["User"]
    assert got["UserId"] == made["UserId"] and got["Path"] == "/other/" and got["Tags"] == [{"Key": "a", "Value": "1"}]
    assert refusal(iam.get_user, UserName=name) == ("NoSuchEntity", f"The user with name {name} cannot be found.")
    iam.tag_user(UserName=renamed, Tags=[{"Key": "A", "Value": "2"}, {"Key": "b", "Value": "3"}])
    assert iam.list_user_tags(UserName=renamed)["Tags"] == [{"Key": "A", "Value": "2"}, {"Key": "b", "Value": "3"}]
    iam.untag_user(UserName=renamed, TagKeys=["a"])
    assert iam.list_user_tags(UserName=renamed)["Tags"] == [{"Key": "b", "Value": "3"}]
    iam.create_access_key(UserName=renamed)
    assert refusal(iam.delete_user, UserName=renamed) == ("DeleteConflict", "Cannot delete entity, must delete access keys first.")
    for key in iam.list_access_keys(UserName=renamed)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=renamed, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=renamed)
    assert refusal(iam.delete_user, UserName=renamed)[0] == "NoSuchEntity"


@check
def names_and_documents_are_checked():
    assert refusal(iam.create_user, UserName="a b")[0] == "ValidationError"
    assert refusal(iam.create_user, UserName="x" * 65) == (
        "ValidationError", f"1 validation error detected: Value '{'x' * 65}' at 'userName' failed to satisfy constraint: Member must have length less than or equal to 64")
    name, _ = user()
    for text in ["{", "{}", doc({"Effect": "Allow", "Action": "kms:*"}), doc({"Effect": "Allow", "Action": "nothing", "Resource": "*"}),
                 doc({**allow("kms:*"), "Principal": "*"}), doc(allow("kms:*", NoSuchOperator={"a": "b"}))]:
        assert refusal(iam.put_user_policy, UserName=name, PolicyName="p", PolicyDocument=text)[0] == "MalformedPolicyDocument", text
    big = doc(*[allow("kms:Decrypt", f"arn:aws:kms:us-east-1:{account}:key/{i:036}") for i in range(20)])
    assert refusal(iam.put_user_policy, UserName=name, PolicyName="p", PolicyDocument=big) == ("LimitExceeded", "Cannot exceed quota for PolicySize: 2048")
    assert refusal(iam.create_role, RoleName=fresh(), AssumeRolePolicyDocument=doc(allow("sts:AssumeRole")))[0] == "MalformedPolicyDocument"
    ghost = doc({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{account}:user/{fresh()}"}})
    assert refusal(iam.create_role, RoleName=fresh(), AssumeRolePolicyDocument=ghost)[0] == "MalformedPolicyDocument"


@check
def groups():
    group, name = fresh("group"), user()[0]
    iam.create_group(GroupName=group)
    iam.add_user_to_group(GroupName=group, UserName=name)
    iam.add_user_to_group(GroupName=group, UserName=name)
    assert [u["UserName"] for u in iam.get_group(GroupName=group)["Users"]] == [name]
    assert [g["GroupName"] for g in iam.list_groups_for_user(UserName=name)["Groups"]] == [group]
    assert refusal(iam.delete_group, GroupName=group) == ("DeleteConflict", "Cannot delete entity, must remove users from group first.")
    renamed = fresh("group")
    iam.update_group(GroupName=group, NewGroupName=renamed)
    assert [g["GroupName"] for g in iam.list_groups_for_user(UserName=name)["Groups"]] == [renamed]
    iam.remove_user_from_group(GroupName=renamed, UserName=name)
    assert refusal(iam.remove_user_from_group, GroupName=renamed, UserName=name)[0] == "NoSuchEntity"
    iam.delete_group(GroupName=renamed)


@check
def policies_and_versions():
    name = fresh("policy")
    arn = iam.create_policy(PolicyName=name, PolicyDocument=doc(allow("kms:*")), Description="one")["Policy"]["Arn"]
    assert arn == f"arn:aws:iam::{account}:policy/{name}"
    assert refusal(iam.create_policy, PolicyName=name, PolicyDocument=doc(allow("kms:*")))[0] == "EntityAlreadyExists"
    for i in range(2, 6):
        assert iam.create_policy_version(PolicyArn=arn, PolicyDocument=doc(allow(f"kms:{'A' * i}")))["PolicyVersion"]["VersionId"] == f"v{i}"
    assert refusal(iam.create_policy_version, PolicyArn=arn, PolicyDocument=doc(allow("kms:*")))[0] == "LimitExceeded"
    assert [v["VersionId"] for v in iam.list_policy_versions(PolicyArn=arn)["Versions"]] == ["v5", "v4", "v3", "v2", "v1"]
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v3")
    assert refusal(iam.delete_policy_version, PolicyArn=arn, VersionId="v3") == ("DeleteConflict", "Cannot delete the default version of a policy.")
    got = iam.get_policy_version(PolicyArn=arn, VersionId="v3")["PolicyVersion"]
    assert got["IsDefaultVersion"] and got["Document"]["Statement"][0]["Action"] == "kms:AAA"
    iam.delete_policy_version(PolicyArn=arn, VersionId="v5")
    assert iam.create_policy_version(PolicyArn=arn, PolicyDocument=doc(allow("kms:*")), SetAsDefault=True)["PolicyVersion"]["VersionId"] == "v6"
    holder = user()[0]
    iam.attach_user_policy(UserName=holder, PolicyArn=arn)
    iam.attach_user_policy(UserName=holder, PolicyArn=arn)
    bounded = user(PermissionsBoundary=arn)[0]
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    assert iam.get_policy(PolicyArn=arn)["Policy"]["PermissionsBoundaryUsageCount"] == 1
    assert {u["UserName"] for u in iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"]} == {holder, bounded}
    assert [u["UserName"] for u in iam.list_entities_for_policy(PolicyArn=arn, PolicyUsageFilter="PermissionsBoundary")["PolicyUsers"]] == [bounded]
    assert iam.list_attached_user_policies(UserName=holder)["AttachedPolicies"] == [{"PolicyName": name, "PolicyArn": arn}]
    assert refusal(iam.delete_policy, PolicyArn=arn) == ("DeleteConflict", "Cannot delete a policy attached to entities.")
    iam.detach_user_policy(UserName=holder, PolicyArn=arn)
    assert refusal(iam.detach_user_policy, UserName=holder, PolicyArn=arn)[0] == "NoSuchEntity"
    iam.delete_user_permissions_boundary(UserName=bounded)
    for version in ["v1", "v2", "v3", "v4"]:
        iam.delete_policy_version(PolicyArn=arn, VersionId=version)
    iam.delete_policy(PolicyArn=arn)
    assert refusal(iam.get_policy, PolicyArn=arn)[0] == "NoSuchEntity"
    assert refusal(iam.attach_user_policy, UserName=holder, PolicyArn=arn) == ("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.")
    iam.attach_user_policy(UserName=holder, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    assert iam.get_policy(PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")["Policy"]["IsAttachable"]


@check
def access_keys():
    name, first = user(allow("kms:ListKeys"))
    second = iam.create_access_key(UserName=name)["AccessKey"]
    assert refusal(iam.create_access_key, UserName=name) == ("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2")
    assert len(first["SecretAccessKey"]) == 40 and first["SecretAccessKey"] != second["SecretAccessKey"]
    assert {k["AccessKeyId"] for k in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]} == {first["AccessKeyId"], second["AccessKeyId"]}
    assert iam.get_access_key_last_used(AccessKeyId=first["AccessKeyId"])["AccessKeyLastUsed"]["ServiceName"] == "N/A"
    client("kms", first).list_keys()
    used = iam.get_access_key_last_used(AccessKeyId=first["AccessKeyId"])
    assert used["UserName"] == name and used["AccessKeyLastUsed"]["ServiceName"] == "kms", used
    iam.update_access_key(UserName=name, AccessKeyId=first["AccessKeyId"], Status="Inactive")
    assert refusal(client("kms", first).list_keys)[0] == "UnrecognizedClientException"
    assert refusal(client("sts", first).get_caller_identity)[0] == "InvalidClientTokenId"
    iam.update_access_key(UserName=name, AccessKeyId=first["AccessKeyId"], Status="Active")
    client("kms", first).list_keys()
    renamed = fresh()
    iam.update_user(UserName=name, NewUserName=renamed)
    who = client("sts", first).get_caller_identity()
    assert who["Arn"].endswith(f":user/{renamed}"), who
    client("kms", first).list_keys()
    iam.delete_access_key(UserName=renamed, AccessKeyId=first["AccessKeyId"])
    assert refusal(client("kms", first).list_keys)[0] == "UnrecognizedClientException"
    assert refusal(iam.delete_access_key, UserName=renamed, AccessKeyId=first["AccessKeyId"]) == (
        "NoSuchEntity", f"The Access Key with id {first['AccessKeyId']} cannot be found.")


@check
def paginators_and_waiters():
    path = f"/{fresh()}/"
    names = sorted(fresh("page") for _ in range(7))
    for name in names:
        iam.create_user(UserName=name, Path=path)
    iam.get_waiter("user_exists").wait(UserName=names[0], WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    pages = list(iam.get_paginator("list_users").paginate(PathPrefix=path, PaginationConfig={"PageSize": 3}))
    assert [u["UserName"] for page in pages for u in page["Users"]] == names
    assert len(pages) == 3 and pages[0]["IsTruncated"]
    assert refusal(iam.list_users, Marker="bogus") == ("ValidationError", "Invalid Marker.")
    assert refusal(iam.list_groups, Marker=pages[0]["Marker"])[0] == "ValidationError"
    group = fresh("group")
    iam.create_group(GroupName=group)
    for name in names:
        iam.add_user_to_group(GroupName=group, UserName=name)
    members = [u["UserName"] for page in iam.get_paginator("get_group").paginate(GroupName=group, PaginationConfig={"PageSize": 2}) for u in page["Users"]]
    assert sorted(members) == names
    role = fresh("role")
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=doc({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": account}}))
    iam.get_waiter("role_exists").wait(RoleName=role, WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    policy = iam.create_policy(PolicyName=fresh(), PolicyDocument=doc(allow("kms:*")))["Policy"]["Arn"]
    iam.get_waiter("policy_exists").wait(PolicyArn=policy, WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    for i in range(5):
        iam.put_role_policy(RoleName=role, PolicyName=f"p{i}", PolicyDocument=doc(allow("kms:*")))
    listed = [n for page in iam.get_paginator("list_role_policies").paginate(RoleName=role, PaginationConfig={"PageSize": 2}) for n in page["PolicyNames"]]
    assert listed == [f"p{i}" for i in range(5)]


@check
def iam_asks_itself():
    me, key = user(allow(["iam:GetUser", "iam:ListAccessKeys"], f"arn:aws:iam::{account}:user/${{aws:username}}"))
    other = user()[0]
    mine = client("iam", key)
    assert mine.get_user()["User"]["UserName"] == me
    code, sentence = refusal(mine.get_user, UserName=other)
    assert code == "AccessDenied"
    assert sentence == (f"User: arn:aws:iam::{account}:user/{me} is not authorized to perform: iam:GetUser on resource: "
                        f"arn:aws:iam::{account}:user/{other} because no identity-based policy allows the iam:GetUser action"), sentence
    assert refusal(mine.create_user, UserName=fresh())[0] == "AccessDenied"
    # A keeper of users may make only such as are bounded.
    limit = iam.create_policy(PolicyName=fresh("limit"), PolicyDocument=doc(allow("kms:*")))["Policy"]["Arn"]
    _, keeper = user(allow("iam:CreateUser", "*", StringEquals={"iam:PermissionsBoundary": limit, "aws:RequestTag/team": "red"}))
    keeping = client("iam", keeper)
    assert refusal(keeping.create_user, UserName=fresh())[0] == "AccessDenied"
    keeping.create_user(UserName=fresh(), PermissionsBoundary=limit, Tags=[{"Key": "team", "Value": "red"}])


# ---- policies bite ------------------------------------------------------------------------------


@check
def least_privilege():
    key, other = new_key(), new_key()
    name, cred = user(allow(["kms:Encrypt", "kms:Decrypt"], key))
    mine = client("kms", cred)
    blob = mine.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert mine.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    sentence = denied(mine.encrypt, KeyId=other, Plaintext=b"x")
    assert sentence == (f"User: arn:aws:iam::{account}:user/{name} is not authorized to perform: kms:Encrypt on resource: {other} "
                        "because no identity-based policy allows the kms:Encrypt action"), sentence
    denied(mine.describe_key, KeyId=key)
    denied(mine.create_key)
    iam.put_user_policy(UserName=name, PolicyName="second", PolicyDocument=doc(deny(["kms:Decrypt", "kms:Encrypt"])))
    assert "with an explicit deny in an identity-based policy" in denied(mine.encrypt, KeyId=key, Plaintext=b"x")
    denied(mine.decrypt, CiphertextBlob=blob)
    iam.delete_user_policy(UserName=name, PolicyName="second")
    allowed(mine.decrypt, CiphertextBlob=blob)


@check
def groups_and_managed_policies_speak():
    key = new_key()
    name, cred = user()
    mine = client("kms", cred)
    denied(mine.describe_key, KeyId=key)
    group = fresh("group")
    iam.create_group(GroupName=group)
    arn = iam.create_policy(PolicyName=fresh(), PolicyDocument=doc(allow("kms:DescribeKey", key)))["Policy"]["Arn"]
    iam.attach_group_policy(GroupName=group, PolicyArn=arn)
    iam.add_user_to_group(GroupName=group, UserName=name)
    allowed(mine.describe_key, KeyId=key)
    version = iam.create_policy_version(PolicyArn=arn, PolicyDocument=doc(allow("kms:Encrypt", key)), SetAsDefault=True)["PolicyVersion"]["VersionId"]
    denied(mine.describe_key, KeyId=key)
    assert version == "v2"
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    allowed(mine.describe_key, KeyId=key)
    iam.remove_user_from_group(GroupName=group, UserName=name)
    denied(mine.describe_key, KeyId=key)


@check
def conditions():
    key = new_key()
    name, cred = user(
        allow("kms:Encrypt", key, StringEquals={"kms:EncryptionContext:tenant": "a"}),
        allow("kms:DescribeKey", key, StringEquals={"aws:PrincipalTag/team": "red"}),
        allow("kms:GenerateDataKey", key, StringEquals={"kms:ViaService": "s3.us-east-1.amazonaws.com"}),
        allow("kms:GetPublicKey", key, IpAddress={"aws:SourceIp": "10.0.0.0/8"}),
        allow("kms:GenerateRandom", "*", DateLessThan={"aws:CurrentTime": "2020-01-01T00:00:00Z"}),
        allow("kms:ListAliases", "*", NumericLessThan={"aws:EpochTime": "99999999999"}, StringLike={"aws:username": "user-*"}))
    mine = client("kms", cred)
    allowed(mine.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext={"tenant": "a"})
    denied(mine.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext={"tenant": "b"})
    denied(mine.encrypt, KeyId=key, Plaintext=b"x")
    denied(mine.describe_key, KeyId=key)
    iam.tag_user(UserName=name, Tags=[{"Key": "team", "Value": "red"}])
    allowed(mine.describe_key, KeyId=key)
    iam.tag_user(UserName=name, Tags=[{"Key": "team", "Value": "blue"}])
    denied(mine.describe_key, KeyId=key)
    denied(mine.generate_data_key, KeyId=key, KeySpec="AES_256")
    denied(mine.get_public_key, KeyId=key)
    denied(mine.generate_random, NumberOfBytes=8)
    allowed(mine.list_aliases)


@check
def boundaries_narrow():
    key = new_key()
    limit = iam.create_policy(PolicyName=fresh(), PolicyDocument=doc(allow("kms:DescribeKey")))["Policy"]["Arn"]
    name, cred = user(allow("kms:*"), PermissionsBoundary=limit)
    mine = client("kms", cred)
    allowed(mine.describe_key, KeyId=key)
    assert "because no permissions boundary allows the kms:Encrypt action" in denied(mine.encrypt, KeyId=key, Plaintext=b"x")
    iam.delete_user_permissions_boundary(UserName=name)
    allowed(mine.encrypt, KeyId=key, Plaintext=b"x")
    iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=limit)
    denied(mine.encrypt, KeyId=key, Plaintext=b"x")


@check
def roles_are_assumed():
    key = new_key()
    name, cred = user(allow("sts:AssumeRole"))
    arn = role(trust(account), allow(["kms:DescribeKey", "kms:Encrypt"], key), Path="/app/", Tags=[{"Key": "team", "Value": "red"}])
    made = assume(cred, arn)
    role_name = arn.split("/")[-1]
    assert made["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{account}:assumed-role/{role_name}/session", made
    assert made["Credentials"]["AccessKeyId"].startswith("ASIA") and len(made["Credentials"]["SecretAccessKey"]) == 40
    who = client("sts", made["Credentials"]).get_caller_identity()
    assert who["Arn"] == made["AssumedRoleUser"]["Arn"] and who["UserId"] == made["AssumedRoleUser"]["AssumedRoleId"]
    mine = client("kms", made["Credentials"])
    allowed(mine.encrypt, KeyId=key, Plaintext=b"x")
    denied(mine.decrypt, CiphertextBlob=kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"])
    # A token is for its own key, whole, and with its own secret.
    c = made["Credentials"]
    again = assume(cred, arn)["Credentials"]
    for wrong in [{**c, "SessionToken": c["SessionToken"][:-8]}, {**c, "SessionToken": again["SessionToken"]}, {**c, "SessionToken": "AAAA"}]:
        assert refusal(client("kms", wrong).list_keys)[0] == "UnrecognizedClientException", wrong
        assert refusal(client("sts", wrong).get_caller_identity)[0] == "InvalidClientTokenId"
    assert refusal(client("kms", {**c, "SecretAccessKey": again["SecretAccessKey"]}).list_keys)[0] == "InvalidSignatureException"
    without = {k: v for k, v in c.items() if k != "SessionToken"}
    assert refusal(client("kms", without).list_keys)[0] == "UnrecognizedClientException"
    # A session ends with its role.
    iam.delete_role_policy(RoleName=role_name, PolicyName="inline")
    denied(mine.encrypt, KeyId=key, Plaintext=b"x")
    iam.delete_role(RoleName=role_name)
    assert refusal(mine.describe_key, KeyId=key)[0] == "UnrecognizedClientException"


@check
def trust_policies_decide():
    name, cred = user(allow("sts:AssumeRole"))
    stranger, nobody = user()
    me = f"arn:aws:iam::{account}:user/{name}"
    mine = role(trust(me))
    assume(cred, mine)
    code, sentence = refusal(assume, nobody, mine)
    assert (code, sentence) == ("AccessDenied", f"User: arn:aws:iam::{account}:user/{stranger} is not authorized to perform: sts:AssumeRole on resource: {mine}")
    # Named by its account a user needs a policy of its own; named itself it does not.
    assert refusal(assume, nobody, role(trust(account)))[0] == "AccessDenied"
    assume(nobody, role(trust(f"arn:aws:iam::{account}:user/{stranger}")))
    ghost = f"arn:aws:iam::{account}:role/{fresh()}"
    assert refusal(assume, cred, ghost) == ("AccessDenied", f"User: {me} is not authorized to perform: sts:AssumeRole on resource: {ghost}")
    assert refusal(sts.assume_role, RoleArn=mine, RoleSessionName="xx") == ("AccessDenied", "Roles may not be assumed by root accounts.")
    external = role(trust(account, StringEquals={"sts:ExternalId": "s3cret"}))
    assert refusal(assume, cred, external)[0] == "AccessDenied"
    assert refusal(assume, cred, external, ExternalId="other")[0] == "AccessDenied"
    assume(cred, external, ExternalId="s3cret")
    named = role(trust(account, StringLike={"sts:RoleSessionName": "${aws:username}"}))
    assert refusal(assume, cred, named)[0] == "AccessDenied"
    assume(cred, named, name=name)
    changed = role(trust(account))
    iam.update_assume_role_policy(RoleName=changed.split("/")[-1], PolicyDocument=trust(me, Bool={"aws:SecureTransport": "true"}))
    assert refusal(assume, cred, changed)[0] == "AccessDenied"
    assert refusal(assume, cred, mine, name="a b")[0] == "ValidationError"
    assert refusal(assume, cred, mine, DurationSeconds=7200) == ("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    iam.update_role(RoleName=mine.split("/")[-1], MaxSessionDuration=7200)
    made = assume(cred, mine, DurationSeconds=7200)["Credentials"]
    left = made["Expiration"].timestamp() - __import__("time").time()
    assert 7100 < left <= 7200, left


@check
def session_policies_and_tags():
    key = new_key()
    _, cred = user(allow(["sts:AssumeRole", "sts:TagSession"]))
    arn = role(trust(account), allow("kms:*", key), allow("kms:GenerateRandom", "*", StringEquals={"aws:PrincipalTag/team": "red"}))
    narrow = client("kms", assume(cred, arn, Policy=doc(allow("kms:DescribeKey")))["Credentials"])
    allowed(narrow.describe_key, KeyId=key)
    assert "because no session policy allows the kms:Encrypt action" in denied(narrow.encrypt, KeyId=key, Plaintext=b"x")
    denied(narrow.create_key)
    managed = iam.create_policy(PolicyName=fresh(), PolicyDocument=doc(allow("kms:Encrypt")))["Policy"]["Arn"]
    both = client("kms", assume(cred, arn, Policy=doc(allow("kms:DescribeKey")), PolicyArns=[{"arn": managed}])["Credentials"])
    allowed(both.describe_key, KeyId=key)
    allowed(both.encrypt, KeyId=key, Plaintext=b"x")
    denied(both.get_key_policy, KeyId=key)
    assert refusal(assume, cred, arn, Policy="{")[0] == "MalformedPolicyDocument"
    denied(client("kms", assume(cred, arn)["Credentials"]).generate_random, NumberOfBytes=8)
    tagged = assume(cred, arn, Tags=[{"Key": "team", "Value": "red"}], TransitiveTagKeys=["team"])["Credentials"]
    allowed(client("kms", tagged).generate_random, NumberOfBytes=8)
    # A chain inherits what is transitive, and lasts an hour at most.
    second = role(trust(arn), allow("kms:GenerateRandom", "*", StringEquals={"aws:PrincipalTag/team": "red"}), MaxSessionDuration=7200)
    iam.put_role_policy(RoleName=arn.split("/")[-1], PolicyName="chain", PolicyDocument=doc(allow("sts:*")))
    chained = assume(tagged, second)["Credentials"]
    allowed(client("kms", chained).generate_random, NumberOfBytes=8)
    assert refusal(assume, tagged, second, DurationSeconds=7200)[0] == "ValidationError"
    assert refusal(assume, tagged, second, Tags=[{"Key": "team", "Value": "blue"}])[0] == "ValidationError"
    untagged = assume(cred, arn)["Credentials"]
    denied(client("kms", assume(untagged, second)["Credentials"]).generate_random, NumberOfBytes=8)


@check
def get_session_token():
    key = new_key()
    name, cred = user(allow("kms:DescribeKey"), allow("iam:*"))
    made = client("sts", cred).get_session_token(DurationSeconds=900)["Credentials"]
    assert client("sts", made).get_caller_identity()["Arn"] == f"arn:aws:iam::{account}:user/{name}"
    allowed(client("kms", made).describe_key, KeyId=key)
    denied(client("kms", made).encrypt, KeyId=key, Plaintext=b"x")
    assert refusal(client("sts", made).get_session_token)[0] == "AccessDenied"
    assert refusal(client("iam", made).list_users)[0] == "InvalidClientTokenId"
    root = sts.get_session_token()["Credentials"]
    allowed(client("kms", root).encrypt, KeyId=key, Plaintext=b"x")
    assert sts.get_access_key_info(AccessKeyId=cred["AccessKeyId"])["Account"] == account
    assert refusal(sts.get_access_key_info, AccessKeyId=other["accessKeyId"])[0] == refusal(sts.get_access_key_info, AccessKeyId="AKIAAAAAAAAAAAAAAAAA")[0]


@check
def another_account():
    key, hidden = new_key(), new_key()
    there = client("iam", other_key)
    name = fresh("foreign")
    there.create_user(UserName=name)
    cred = there.create_access_key(UserName=name)["AccessKey"]
    foreign = f"arn:aws:iam::{other['accountId']}:user/{name}"
    theirs = client("kms", cred)
    policy = lambda *more: doc({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "kms:*", "Resource": "*"}, *more)
    denied(theirs.encrypt, KeyId=key, Plaintext=b"x")
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy({"Effect": "Allow", "Principal": {"AWS": foreign}, "Action": "kms:Encrypt", "Resource": "*"}))
    denied(theirs.encrypt, KeyId=key, Plaintext=b"x")  # both sides must allow
    there.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=doc(allow(["kms:Encrypt", "sts:AssumeRole"])))
    allowed(theirs.encrypt, KeyId=key, Plaintext=b"x")
    denied(theirs.encrypt, KeyId=hidden, Plaintext=b"x")
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy())
    denied(theirs.encrypt, KeyId=key, Plaintext=b"x")
    # A role of this account, for that account.
    arn = role(trust(other["accountId"], StringEquals={"sts:ExternalId": "ext"}), allow("kms:Encrypt", key))
    assert refusal(assume, cred, arn)[0] == "AccessDenied"
    session = assume(cred, arn, ExternalId="ext")["Credentials"]
    assert client("sts", session).get_caller_identity()["Account"] == account
    allowed(client("kms", session).encrypt, KeyId=key, Plaintext=b"x")
    denied(client("kms", session).encrypt, KeyId=hidden, Plaintext=b"x")
    # Neither account sees the other's people.
    assert all(u["UserName"] != name for page in iam.get_paginator("list_users").paginate() for u in page["Users"])
    assert refusal(iam.get_user, UserName=name)[0] == "NoSuchEntity"
    assert refusal(iam.get_access_key_last_used, AccessKeyId=cred["AccessKeyId"])[0] == "NoSuchEntity"


@check
def the_account_at_a_glance():
    there = client("iam", other_key)
    alias = fresh("room")
    assert refusal(iam.create_account_alias, AccountAlias="Not-This")[0] == "ValidationError"
    assert refusal(iam.delete_account_alias, AccountAlias=alias)[0] == "NoSuchEntity"
    iam.create_account_alias(AccountAlias=alias + "-before")
    iam.create_account_alias(AccountAlias=alias)
    assert iam.list_account_aliases()["AccountAliases"] == [alias]
    there.create_account_alias(AccountAlias=alias)  # neither account learns of the other
    iam.delete_account_alias(AccountAlias=alias)
    assert iam.list_account_aliases()["AccountAliases"] == [] and there.list_account_aliases()["AccountAliases"] == [alias]
    name, _ = user(allow("kms:*"))
    pages = list(iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 3}))
    seen = [u["UserName"] for page in pages for u in page["UserDetailList"]]
    assert len(pages) > 1 and seen.count(name) == 1 and len(seen) == len(set(seen)), seen
    only = list(iam.get_paginator("get_account_authorization_details").paginate(Filter=["Role"], PaginationConfig={"PageSize": 2}))
    assert all(not page["UserDetailList"] and not page["Policies"] for page in only)
    assert [r["RoleName"] for page in only for r in page["RoleDetailList"]] == [r["RoleName"] for page in iam.get_paginator("list_roles").paginate() for r in page["Roles"]]
    assert refusal(iam.get_account_authorization_details, Marker="x")[0] == "ValidationError"
    assert name in iam.get_credential_report()["Content"].decode()


@check
def simulations_name_the_statement():
    key = new_key()
    limit = iam.create_policy(PolicyName=fresh(), PolicyDocument=doc(allow("kms:D*")))["Policy"]["Arn"]
    name, _ = user(PermissionsBoundary=limit)
    me = f"arn:aws:iam::{account}:user/{name}"
    text = json.dumps({"Version": "2012-10-17", "Statement": [deny("kms:Decrypt", "*", StringEquals={"kms:EncryptionContext:a": "b"}), allow("kms:*", key)]}, indent=2)
    iam.put_user_policy(UserName=name, PolicyName="mine", PolicyDocument=text)
    ask = lambda **more: {r["EvalActionName"]: r for r in iam.simulate_principal_policy(PolicySourceArn=me, ResourceArns=[key], **more)["EvaluationResults"]}
    got = ask(ActionNames=["kms:Decrypt", "kms:Encrypt", "s3:GetObject"])
    assert [got[a]["EvalDecision"] for a in got] == ["allowed", "implicitDeny", "implicitDeny"], got
    assert got["kms:Decrypt"]["MatchedStatements"][0]["SourcePolicyId"] == f"user_{name}_mine"
    assert got["kms:Decrypt"]["MissingContextValues"] == ["kms:encryptioncontext:a"]
    assert got["kms:Encrypt"]["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    got = ask(ActionNames=["kms:Decrypt"], ContextEntries=[{"ContextKeyName": "kms:EncryptionContext:a", "ContextKeyValues": ["b"], "ContextKeyType": "string"}])["kms:Decrypt"]
    assert got["EvalDecision"] == "explicitDeny"
    start, end = (got["MatchedStatements"][0][p] for p in ("StartPosition", "EndPosition"))
    lines = text.split("\n")
    assert start == {"Line": 4, "Column": 5} and lines[start["Line"] - 1][start["Column"] - 1] == "{", start
    assert lines[end["Line"] - 1][end["Column"] - 2] == "}", end
    pages = iam.get_paginator("simulate_custom_policy").paginate(PolicyInputList=[doc(allow("s3:Get*"))], ActionNames=["s3:GetObject", "s3:PutObject", "s3:GetAcl"], PaginationConfig={"PageSize": 2})
    assert [r["EvalDecision"] for page in pages for r in page["EvaluationResults"]] == ["allowed", "implicitDeny", "allowed"]
    assert refusal(iam.simulate_custom_policy, PolicyInputList=["{"], ActionNames=["s3:GetObject"])[0] == "MalformedPolicyDocument"
    assert refusal(iam.simulate_principal_policy, PolicySourceArn=me + "x", ActionNames=["s3:GetObject"])[0] == "NoSuchEntity"


service = json.loads(os.environ["SERVICE"])
service_key = {"AccessKeyId": service["accessKeyId"], "SecretAccessKey": service["secretAccessKey"]}


def speaking(key, **headers):
    """A KMS client that sends x-strongroom- headers."""
    made = client("kms", key)
    names = {"principal": "x-strongroom-on-behalf-of", "source": "x-strongroom-source-arn"}
    def add(request, **_):
        for name, value in headers.items():
            request.headers[names[name]] = value
    made.meta.events.register("before-sign.kms", add)
    return made


@check
def services_act_alone_or_for_others():
    key = new_key()
    name, cred = user(allow(["kms:Encrypt", "kms:CreateGrant"], key, StringEquals={"kms:ViaService": "s3.us-east-1.amazonaws.com"}))
    me = f"arn:aws:iam::{account}:user/{name}"
    bucket = "arn:aws:s3:::bucket"
    denied(client("kms", cred).encrypt, KeyId=key, Plaintext=b"x")
    allowed(speaking(service_key, principal=me).encrypt, KeyId=key, Plaintext=b"x")
    denied(speaking(service_key, principal=me).describe_key, KeyId=key)
    # Alone it is what key policies call Service.
    denied(client("kms", service_key).encrypt, KeyId=key, Plaintext=b"x")
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=doc(
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "kms:GenerateDataKey", "Resource": "*", "Condition": {"ArnLike": {"aws:SourceArn": bucket}}}))
    denied(client("kms", service_key).generate_data_key, KeyId=key, KeySpec="AES_256")
    allowed(speaking(service_key, source=bucket).generate_data_key, KeyId=key, KeySpec="AES_256")
    denied(speaking(service_key, source="arn:aws:s3:::other").generate_data_key, KeyId=key, KeySpec="AES_256")
    # Nobody else may say so, and it speaks for nobody of another account.
    for wrong in [speaking(cred, principal=me), speaking(cred, source=bucket), speaking(service_key, principal=me + "x"),
                  speaking(service_key, principal=f"arn:aws:iam::{other['accountId']}:root")]:
        denied(wrong.encrypt, KeyId=key, Plaintext=b"x")
    # A grant for an AWS resource.
    iam.put_user_policy(UserName=name, PolicyName="inline", PolicyDocument=doc(allow("kms:CreateGrant", key, Bool={"kms:GrantIsForAWSResource": "true"})))
    grant = {"KeyId": key, "GranteePrincipal": me, "Operations": ["Decrypt"]}
    denied(client("kms", cred).create_grant, **grant)
    allowed(speaking(service_key, principal=me).create_grant, **grant)


# ---- the table of decisions, a sample of it --------------------------------------------------


def narrowing(word):
    return {"allows": doc(allow("kms:Decrypt")), "lacks": doc(allow("s3:*")), "denies": doc(allow("kms:Decrypt"), deny("kms:Decrypt"))}.get(word)


class Situation:
    """One line of decisions.tsv made real: principals, policies, a key, a grant, and one Decrypt."""

    def __init__(self, row, stranger):
        self.row, self.foreign = row, row["principal"].startswith("foreign")
        self.people = client("iam", other_key) if self.foreign else iam
        self.account = other["accountId"] if self.foreign else account
        self.key = new_key()
        self.context = {"tenant": row["tenant"]}
        self.blob = kms.encrypt(KeyId=self.key, Plaintext=b"x", EncryptionContext=self.context)["CiphertextBlob"]
        self.arn, self.cred = self.principal()
        if row["grant"] != "none":
            fits = {"Constraints": {"EncryptionContextSubset": {"tenant": "a"}}} if row["grant"].endswith("tenant a") else {}
            kms.create_grant(KeyId=self.key, GranteePrincipal=self.arn, Operations=["Decrypt"], **fits)
        kms.put_key_policy(KeyId=self.key, PolicyName="default", Policy=self.key_policy(stranger), BypassPolicyLockoutSafetyCheck=True)

    def principal(self):
        row = self.row
        if row["principal"] == "service":
            return "s3.amazonaws.com", service_key
        if row["principal"].endswith("root"):
            return f"arn:aws:iam::{self.account}:root", other_key if self.foreign else None
        name, people = fresh("row"), self.people
        kind = "role" if row["principal"].endswith("session") else "user"
        bound = {}
        if row["boundary"] != "absent":
            bound["PermissionsBoundary"] = people.create_policy(PolicyName=fresh("limit"), PolicyDocument=narrowing(row["boundary"]))["Policy"]["Arn"]
        if kind == "user":
            arn = people.create_user(UserName=name, **bound)["User"]["Arn"]
        else:
            arn = people.create_role(RoleName=name, AssumeRolePolicyDocument=trust(self.account), **bound)["Role"]["Arn"]
        statements = self.identity()
        if statements:
            getattr(people, f"put_{kind}_policy")(**{f"{kind.capitalize()}Name": name}, PolicyName="p", PolicyDocument=doc(*statements))
        if kind == "user":
            return arn, people.create_access_key(UserName=name)["AccessKey"]
        maker = fresh("maker")
        people.create_user(UserName=maker)
        people.put_user_policy(UserName=maker, PolicyName="p", PolicyDocument=doc(allow("sts:AssumeRole")))
        narrowed = {} if row["session"] == "absent" else {"Policy": narrowing(row["session"])}
        made = assume(people.create_access_key(UserName=maker)["AccessKey"], arn, **narrowed)
        self.session = made["AssumedRoleUser"]["Arn"]
        return arn, made["Credentials"]

    def identity(self):
        for_a, for_b = ({"StringEquals": {"kms:EncryptionContext:tenant": t}} for t in "ab")
        yes = allow("kms:Decrypt")
        return {
            "none": [], "allows": [yes], "allows another action": [allow("kms:Encrypt")], "allows tenant a": [allow("kms:Decrypt", "*", **for_a)],
            "allows another key": [allow("kms:Decrypt", self.key + "0")], "denies": [yes, deny("kms:Decrypt")],
            "allows, denies tenant b": [yes, deny("kms:Decrypt", "*", **for_b)]}[self.row["identity"]]

    def key_policy(self, stranger):
        def says(effect, who, **condition):
            return {"Effect": effect, "Principal": who, "Action": "kms:*", "Resource": "*", **({"Condition": condition} if condition else {})}
        delegates = says("Allow", {"AWS": f"arn:aws:iam::{account}:root"})
        itself = {"Service": self.arn} if self.row["principal"] == "service" else {"AWS": self.arn}
        for_a, for_b = ({"StringEquals": {"kms:EncryptionContext:tenant": t}} for t in "ab")
        return doc(*{
            "delegates": [delegates], "names the principal": [says("Allow", itself)], "names the session": [says("Allow", {"AWS": getattr(self, "session", self.arn)})],
            "names the principal's account": [says("Allow", {"AWS": self.account})], "names everybody": [says("Allow", "*")],
            "names everybody for tenant a": [says("Allow", "*", **for_a)], "delegates, denies everybody": [delegates, says("Deny", "*")],
            "delegates, denies tenant b": [delegates, says("Deny", "*", **for_b)], "names somebody else": [says("Allow", {"AWS": stranger})],
        }[self.row["key policy"]])

    def ask(self):
        caller = kms if self.cred is None else client("kms", self.cred)
        try:
            caller.decrypt(KeyId=self.key, CiphertextBlob=self.blob, EncryptionContext=self.context)
            return "allow"
        except botocore.exceptions.ClientError as e:
            assert e.response["Error"]["Code"] == "AccessDeniedException", e
            return "deny"


@check
def a_sample_of_the_table_of_decisions():
    with open(os.path.join(os.path.dirname(__file__), "..", "iam", "decisions.tsv")) as table:
        header, *lines = (line.rstrip("\n").split("\t") for line in table)
    rows = [dict(zip(header, line)) for line in lines]
    rows = [row for row in rows if not (row["principal"] == "service" and row["grant"] != "none")]
    stranger = f"arn:aws:iam::{account}:user/{user()[0]}"
    wrong = []
    for row in rows[::max(1, len(rows) // 80)]:
        got = Situation(row, stranger).ask()
        if got != row["decision"].split()[-1]:
            wrong.append((got, row))
    assert not wrong, wrong


@check
def the_trail_has_it():
    name = fresh("trail")
    iam.create_user(UserName=name)
    refusal(iam.create_user, UserName=name)
    secret = iam.create_access_key(UserName=name)["AccessKey"]["SecretAccessKey"]
    trail = boto3.client("cloudtrail")
    events = [json.loads(e["CloudTrailEvent"]) for e in trail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateUser"}])["Events"]]
    mine = [e for e in events if (e.get("requestParameters") or {}).get("userName") == name]
    assert [e.get("errorCode") for e in mine] == ["EntityAlreadyExists", None], mine
    assert mine[1]["eventSource"] == "iam.amazonaws.com" and mine[1]["readOnly"] is False
    assert mine[1]["responseElements"]["user"]["userName"] == name
    made = trail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateAccessKey"}])["Events"]
    assert made and all(secret not in e["CloudTrailEvent"] for e in made)
    _, cred = user(allow("kms:*"))
    assert refusal(client("cloudtrail", cred).lookup_events)[0] == "AccessDeniedException"


if __name__ == "__main__":
    failed = False
    for one in checks:
        if len(sys.argv) > 1 and one.__name__ not in sys.argv[1:]:
            continue
        try:
            one()
            print(json.dumps({"name": one.__name__, "ok": True}), flush=True)
        except Exception:
            failed = True
            print(json.dumps({"name": one.__name__, "ok": False, "why": traceback.format_exc()}), flush=True)
    sys.exit(1 if failed else 0)
