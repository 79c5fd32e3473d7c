"""boto3 against a running server: typed exceptions, field types, paginators, threads, material of one's own, policies, clocks."""
import concurrent.futures
import datetime
import hashlib
import json
import time

import boto3
import botocore.auth
import botocore.config
import botocore.exceptions
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from python_checks import add, check, run

kms = boto3.client("kms")
west = boto3.client("kms", region_name="eu-west-1")
account = boto3.client("sts").get_caller_identity()["Account"]


def error_code(fn, **kwargs):
    try:
        fn(**kwargs)
    except botocore.exceptions.ClientError as e:
        assert e.response["ResponseMetadata"]["RequestId"], "no request id"
        return e.response["Error"]["Code"]
    return None


@check
def every_flipped_byte_and_truncation_is_refused():
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x" * 16)["CiphertextBlob"]
    for i in range(0, len(blob)):
        broken = bytearray(blob)
        broken[i] ^= 0x01
        code = error_code(kms.decrypt, CiphertextBlob=bytes(broken))
        assert code in ("InvalidCiphertextException", "AccessDeniedException"), (i, code)
    for n in range(1, len(blob), 7):
        assert error_code(kms.decrypt, CiphertextBlob=blob[:n]) == "InvalidCiphertextException", n


@check
def context_is_length_prefixed_and_order_free():
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"p", EncryptionContext={"ab": "c", "z": "1"})["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext={"z": "1", "ab": "c"})["Plaintext"] == b"p"
    assert error_code(kms.decrypt, CiphertextBlob=blob, EncryptionContext={"a": "bc", "z": "1"}) == "InvalidCiphertextException"
    assert error_code(kms.decrypt, CiphertextBlob=blob) == "InvalidCiphertextException"


@check
def typed_exceptions():
    for fn, exc in [
        (lambda: kms.describe_key(KeyId="00000000-0000-4000-8000-000000000000"), kms.exceptions.NotFoundException),
        (lambda: kms.verify_mac(KeyId=kms.create_key(KeySpec="HMAC_512", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"], Message=b"m", Mac=b"x" * 64, MacAlgorithm="HMAC_SHA_512"), kms.exceptions.KMSInvalidMacException),
    ]:
        try:
            fn()
        except exc:
            continue
        raise AssertionError(exc)


@check
def dry_run():
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    assert error_code(kms.encrypt, KeyId=key, Plaintext=b"p", DryRun=True) == "DryRunOperationException"


@check
def paginators():
    ids = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(7)}
    seen = set()
    for page in kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 3}):
        seen |= {k["KeyId"] for k in page["Keys"]}
    assert ids <= seen


@check
def sixteen_threads():
    key = kms.create_key()["KeyMetadata"]["KeyId"]

    def one(i):
        data = hashlib.sha256(str(i).encode()).digest()
        blob = kms.encrypt(KeyId=key, Plaintext=data)["CiphertextBlob"]
        return kms.decrypt(CiphertextBlob=blob)["Plaintext"] == data

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(200)))


@check
def data_key_pairs():
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    pair = kms.generate_data_key_pair(KeyId=key, KeyPairSpec="ECC_NIST_P256")
    assert kms.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"])["Plaintext"] == pair["PrivateKeyPlaintext"]
    without = kms.generate_data_key_pair_without_plaintext(KeyId=key, KeyPairSpec="RSA_2048")
    assert "PrivateKeyPlaintext" not in without and without["PublicKey"]


@check
def re_encrypt():
    a, b = (kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
    blob = kms.encrypt(KeyId=a, Plaintext=b"moved", EncryptionContext={"k": "a"})["CiphertextBlob"]
    moved = kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext={"k": "a"}, DestinationKeyId=b, DestinationEncryptionContext={"k": "b"})
    assert moved["KeyId"].endswith(b) and moved["SourceKeyId"].endswith(a)
    assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"k": "b"}, KeyId=b)["Plaintext"] == b"moved"
    assert error_code(kms.decrypt, CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"k": "b"}, KeyId=a) == "IncorrectKeyException"


@check
def shared_secrets_agree():
    a, b = (kms.create_key(KeySpec="ECC_NIST_P384", KeyUsage="KEY_AGREEMENT")["KeyMetadata"]["KeyId"] for _ in range(2))
    pa, pb = (kms.get_public_key(KeyId=k)["PublicKey"] for k in (a, b))
    sa = kms.derive_shared_secret(KeyId=a, KeyAgreementAlgorithm="ECDH", PublicKey=pb)["SharedSecret"]
    sb = kms.derive_shared_secret(KeyId=b, KeyAgreementAlgorithm="ECDH", PublicKey=pa)["SharedSecret"]
    assert sa == sb and len(sa) == 48


@check
def post_quantum_signatures():
    for spec, size in (("ML_DSA_44", 2420), ("ML_DSA_65", 3309), ("ML_DSA_87", 4627)):
        key = kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
        sig = kms.sign(KeyId=key, Message=b"m", SigningAlgorithm="ML_DSA_SHAKE_256")["Signature"]
        assert len(sig) == size
        assert kms.verify(KeyId=key, Message=b"m", Signature=sig, SigningAlgorithm="ML_DSA_SHAKE_256")["SignatureValid"]
        assert error_code(kms.verify, KeyId=key, Message=b"n", Signature=sig, SigningAlgorithm="ML_DSA_SHAKE_256") == "KMSInvalidSignatureException"


def new_key(**options):
    return kms.create_key(**options)["KeyMetadata"]["KeyId"]


def refused(exception, fn, **kwargs):
    try:
        fn(**kwargs)
    except exception as e:
        meta = e.response["ResponseMetadata"]
        assert meta["HTTPStatusCode"] == 400 and meta["RequestId"], meta
        assert e.response["Error"]["Message"] is not None
        return e
    raise AssertionError(f"not refused with {exception}")


# ---- every exception has its class

def disabled():
    k = new_key()
    kms.disable_key(KeyId=k)
    return k


def pending():
    k = new_key()
    kms.schedule_key_deletion(KeyId=k, PendingWindowInDays=7)
    return k


def taken():
    name = f"alias/boto-{time.time_ns()}"
    kms.create_alias(AliasName=name, TargetKeyId=symmetric)
    return name


symmetric = new_key()
x = kms.exceptions
for name, exception, fn in (
    ("DisabledException", x.DisabledException, lambda: kms.encrypt(KeyId=disabled(), Plaintext=b"x")),
    ("KMSInvalidStateException", x.KMSInvalidStateException, lambda: kms.encrypt(KeyId=pending(), Plaintext=b"x")),
    ("AlreadyExistsException", x.AlreadyExistsException, lambda: kms.create_alias(AliasName=taken_name, TargetKeyId=symmetric)),
    ("InvalidKeyUsageException", x.InvalidKeyUsageException, lambda: kms.generate_mac(KeyId=symmetric, Message=b"m", MacAlgorithm="HMAC_SHA_256")),
    ("InvalidCiphertextException", x.InvalidCiphertextException, lambda: kms.decrypt(CiphertextBlob=b"rubbish" * 30)),
    ("InvalidArnException", x.InvalidArnException, lambda: kms.describe_key(KeyId="arn:aws:s3:::bucket")),
    ("InvalidGrantTokenException", x.InvalidGrantTokenException, lambda: kms.encrypt(KeyId=symmetric, Plaintext=b"x", GrantTokens=["nonsense"])),
    ("InvalidMarkerException", x.InvalidMarkerException, lambda: kms.list_keys(Marker="nonsense")),
    ("MalformedPolicyDocumentException", x.MalformedPolicyDocumentException, lambda: kms.put_key_policy(KeyId=symmetric, PolicyName="default", Policy="{}")),
    ("UnsupportedOperationException", x.UnsupportedOperationException, lambda: kms.get_public_key(KeyId=symmetric)),
    ("TagException", x.TagException, lambda: kms.tag_resource(KeyId=symmetric, Tags=[{"TagKey": "aws:x", "TagValue": "y"}])),
    ("InvalidImportTokenException", x.InvalidImportTokenException, lambda: kms.import_key_material(KeyId=new_key(Origin="EXTERNAL"), ImportToken=b"x" * 64, EncryptedKeyMaterial=b"y" * 256, ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")),
):
    add(f"class {name}", lambda exception=exception, fn=fn: refused(exception, fn))
taken_name = taken()


# ---- field types

@check
def times_are_times_and_numbers_are_numbers():
    meta = kms.describe_key(KeyId=symmetric)["KeyMetadata"]
    assert isinstance(meta["CreationDate"], datetime.datetime) and abs((datetime.datetime.now(datetime.timezone.utc) - meta["CreationDate"]).total_seconds()) < 3600
    k = pending()
    assert isinstance(kms.describe_key(KeyId=k)["KeyMetadata"]["DeletionDate"], datetime.datetime)


@check
def a_member_that_has_no_value_is_not_there():
    meta = kms.describe_key(KeyId=symmetric)["KeyMetadata"]
    for name in ("DeletionDate", "ValidTo", "ExpirationModel", "CustomKeyStoreId", "MultiRegionConfiguration", "XksKeyConfiguration", "SigningAlgorithms", "MacAlgorithms"):
        assert name not in meta, name


@check
def every_list_has_its_paginator():
    grantee = f"arn:aws:iam::{account}:root"
    grants = {kms.create_grant(KeyId=symmetric, GranteePrincipal=grantee, RetiringPrincipal=grantee, Operations=["Decrypt"])["GrantId"] for _ in range(3)}
    for _ in range(3):
        taken()
    kms.tag_resource(KeyId=symmetric, Tags=[{"TagKey": str(n), "TagValue": "v"} for n in range(5)])
    small = {"PageSize": 1}
    assert grants <= {g["GrantId"] for page in kms.get_paginator("list_grants").paginate(KeyId=symmetric, PaginationConfig=small) for g in page["Grants"]}
    assert grants <= {g["GrantId"] for page in kms.get_paginator("list_retirable_grants").paginate(RetiringPrincipal=grantee, PaginationConfig=small) for g in page["Grants"]}
    assert len([a for page in kms.get_paginator("list_aliases").paginate(KeyId=symmetric, PaginationConfig=small) for a in page["Aliases"]]) >= 3
    assert len([t for page in kms.get_paginator("list_resource_tags").paginate(KeyId=symmetric, PaginationConfig=small) for t in page["Tags"]]) == 5
    assert [n for page in kms.get_paginator("list_key_policies").paginate(KeyId=symmetric) for n in page["PolicyNames"]] == ["default"]


@check
def every_bit_of_one_ciphertext():
    blob = kms.encrypt(KeyId=symmetric, Plaintext=b"x")["CiphertextBlob"]

    def one(at):
        broken = bytearray(blob)
        broken[at // 8] ^= 1 << at % 8
        return error_code(kms.decrypt, CiphertextBlob=bytes(broken))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        codes = set(pool.map(one, range(0, len(blob) * 8, 3)))
    assert codes <= {"InvalidCiphertextException", "AccessDeniedException"}, codes


@check
def a_longer_ciphertext_is_refused():
    blob = kms.encrypt(KeyId=symmetric, Plaintext=b"x")["CiphertextBlob"]
    assert error_code(kms.decrypt, CiphertextBlob=blob + b"x") == "InvalidCiphertextException"


# ---- signatures judged by `cryptography`

def public(k):
    return serialization.load_der_public_key(kms.get_public_key(KeyId=k)["PublicKey"])


for spec, algorithm, digest in (("ECC_NIST_P256", "ECDSA_SHA_256", hashes.SHA256()), ("ECC_NIST_P384", "ECDSA_SHA_384", hashes.SHA384()), ("ECC_NIST_P521", "ECDSA_SHA_512", hashes.SHA512()), ("ECC_SECG_P256K1", "ECDSA_SHA_256", hashes.SHA256())):
    def ecdsa(spec=spec, algorithm=algorithm, digest=digest):
        k = new_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")
        public(k).verify(kms.sign(KeyId=k, Message=b"m", SigningAlgorithm=algorithm)["Signature"], b"m", ec.ECDSA(digest))
        hashed = hashes.Hash(digest)
        hashed.update(b"m")
        public(k).verify(kms.sign(KeyId=k, Message=hashed.finalize(), MessageType="DIGEST", SigningAlgorithm=algorithm)["Signature"], b"m", ec.ECDSA(digest))
    add(f"{spec} verifies outside", ecdsa)


@check
def pss_has_a_salt_as_long_as_the_digest():
    k = new_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
    for bits, digest in ((256, hashes.SHA256()), (384, hashes.SHA384()), (512, hashes.SHA512())):
        sig = kms.sign(KeyId=k, Message=b"m", SigningAlgorithm=f"RSASSA_PSS_SHA_{bits}")["Signature"]
        public(k).verify(sig, b"m", padding.PSS(padding.MGF1(digest), bits // 8), digest)


@check
def ed25519_and_its_prehashed_form():
    k = new_key(KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")
    public(k).verify(kms.sign(KeyId=k, Message=b"m", SigningAlgorithm="ED25519_SHA_512")["Signature"], b"m")
    digest = hashlib.sha512(b"m").digest()
    sig = kms.sign(KeyId=k, Message=digest, MessageType="DIGEST", SigningAlgorithm="ED25519_PH_SHA_512")["Signature"]
    assert kms.verify(KeyId=k, Message=digest, MessageType="DIGEST", Signature=sig, SigningAlgorithm="ED25519_PH_SHA_512")["SignatureValid"]


# ---- material of one's own

def wrapped(k, spec, material, algorithm="RSA_AES_KEY_WRAP_SHA_256"):
    given = kms.get_parameters_for_import(KeyId=k, WrappingAlgorithm=algorithm, WrappingKeySpec=spec)
    wrapper = serialization.load_der_public_key(given["PublicKey"])
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    if algorithm == "RSAES_OAEP_SHA_256":
        return given["ImportToken"], wrapper.encrypt(material, oaep)
    kek = hashlib.sha256(b"kek" + material).digest()
    return given["ImportToken"], wrapper.encrypt(kek, oaep) + keywrap.aes_key_wrap_with_padding(kek, material)


def pkcs8(private):
    return private.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def imported(material, wrapping="RSA_4096", algorithm="RSA_AES_KEY_WRAP_SHA_256", seconds=None, **options):
    k = new_key(Origin="EXTERNAL", **options)
    token, blob = wrapped(k, wrapping, material, algorithm)
    how = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"} if seconds is None else {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)}
    kms.import_key_material(KeyId=k, ImportToken=token, EncryptedKeyMaterial=blob, **how)
    return k


@check
def an_rsa_key_is_imported_and_signs():
    private = rsa.generate_private_key(65537, 2048)
    k = imported(pkcs8(private), KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
    private.public_key().verify(kms.sign(KeyId=k, Message=b"m", SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256")["Signature"], b"m", padding.PKCS1v15(), hashes.SHA256())
    assert public(k).public_numbers() == private.public_key().public_numbers()


for spec, curve, algorithm, digest in (("ECC_NIST_P256", ec.SECP256R1(), "ECDSA_SHA_256", hashes.SHA256()), ("ECC_NIST_P384", ec.SECP384R1(), "ECDSA_SHA_384", hashes.SHA384()), ("ECC_SECG_P256K1", ec.SECP256K1(), "ECDSA_SHA_256", hashes.SHA256())):
    def ec_import(spec=spec, curve=curve, algorithm=algorithm, digest=digest):
        private = ec.generate_private_key(curve)
        k = imported(pkcs8(private), KeySpec=spec, KeyUsage="SIGN_VERIFY")
        private.public_key().verify(kms.sign(KeyId=k, Message=b"m", SigningAlgorithm=algorithm)["Signature"], b"m", ec.ECDSA(digest))
    add(f"a {spec} key is imported and signs", ec_import)


@check
def an_hmac_key_is_imported_and_agrees_with_python():
    import hmac
    material = bytes(range(48))
    k = imported(material, wrapping="RSA_3072", algorithm="RSAES_OAEP_SHA_256", KeySpec="HMAC_384", KeyUsage="GENERATE_VERIFY_MAC")
    assert kms.generate_mac(KeyId=k, Message=b"m", MacAlgorithm="HMAC_SHA_384")["Mac"] == hmac.new(material, b"m", "sha384").digest()


@check
def other_material_is_refused_for_a_key_that_had_some():
    k = imported(bytes(32))
    kms.delete_imported_key_material(KeyId=k)
    token, blob = wrapped(k, "RSA_2048", b"\1" * 32, "RSAES_OAEP_SHA_256")
    refused(kms.exceptions.IncorrectKeyMaterialException, kms.import_key_material, KeyId=k, ImportToken=token, EncryptedKeyMaterial=blob, ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")


@check
def material_expires():
    k = imported(bytes(32), seconds=6)
    blob = kms.encrypt(KeyId=k, Plaintext=b"x")["CiphertextBlob"]
    meta = kms.describe_key(KeyId=k)["KeyMetadata"]
    assert meta["ExpirationModel"] == "KEY_MATERIAL_EXPIRES"
    time.sleep(max(0, (meta["ValidTo"] - datetime.datetime.now(datetime.timezone.utc)).total_seconds()) + 0.5)
    refused(kms.exceptions.KMSInvalidStateException, kms.decrypt, CiphertextBlob=blob)
    deadline = time.time() + 90
    while kms.describe_key(KeyId=k)["KeyMetadata"]["KeyState"] != "PendingImport" and time.time() < deadline:
        time.sleep(0.5)
    assert kms.describe_key(KeyId=k)["KeyMetadata"]["KeyState"] == "PendingImport"


@check
def a_token_is_for_its_key_only():
    a, b = new_key(Origin="EXTERNAL"), new_key(Origin="EXTERNAL")
    token, blob = wrapped(a, "RSA_2048", bytes(32), "RSAES_OAEP_SHA_256")
    refused(kms.exceptions.InvalidImportTokenException, kms.import_key_material, KeyId=b, ImportToken=token, EncryptedKeyMaterial=blob, ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")


# ---- Regions, policies, clocks

@check
def a_replica_has_the_same_material_and_its_own_aliases():
    primary = kms.create_key(MultiRegion=True)["KeyMetadata"]
    kms.replicate_key(KeyId=primary["KeyId"], ReplicaRegion="eu-west-1", Description="replica")
    deadline = time.time() + 30
    while west.describe_key(KeyId=primary["KeyId"])["KeyMetadata"]["KeyState"] != "Enabled" and time.time() < deadline:
        time.sleep(0.1)
    blob = west.encrypt(KeyId=primary["KeyId"], Plaintext=b"both")["CiphertextBlob"]
    assert kms.decrypt(KeyId=primary["KeyId"], CiphertextBlob=blob)["Plaintext"] == b"both"
    west.create_alias(AliasName="alias/boto-west", TargetKeyId=primary["KeyId"])
    refused(kms.exceptions.NotFoundException, kms.describe_key, KeyId="alias/boto-west")
    meta = west.describe_key(KeyId=primary["KeyId"])["KeyMetadata"]
    assert meta["MultiRegionConfiguration"]["MultiRegionKeyType"] == "REPLICA" and meta["Description"] == "replica"


@check
def the_primary_moves():
    k = kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    kms.replicate_key(KeyId=k, ReplicaRegion="eu-west-1")
    deadline = time.time() + 30
    while west.describe_key(KeyId=k)["KeyMetadata"]["KeyState"] != "Enabled" and time.time() < deadline:
        time.sleep(0.1)
    kms.update_primary_region(KeyId=k, PrimaryRegion="eu-west-1")
    while (meta := west.describe_key(KeyId=k)["KeyMetadata"])["KeyState"] == "Updating" and time.time() < deadline:
        time.sleep(0.1)
    assert meta["MultiRegionConfiguration"]["MultiRegionKeyType"] == "PRIMARY"


@check
def a_key_policy_that_denies_wins():
    k = new_key()
    blob = kms.encrypt(KeyId=k, Plaintext=b"x")["CiphertextBlob"]
    policy = json.loads(kms.get_key_policy(KeyId=k)["Policy"])
    kms.put_key_policy(KeyId=k, Policy=json.dumps({**policy, "Statement": [*policy["Statement"], {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}]}))
    e = refused(botocore.exceptions.ClientError, kms.decrypt, CiphertextBlob=blob, KeyId=k)
    assert e.response["Error"]["Code"] == "AccessDeniedException" and "explicit deny" in e.response["Error"]["Message"], e
    kms.put_key_policy(KeyId=k, Policy=json.dumps(policy))
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def at(minutes):
    """A call whose client's clock is off."""
    real = botocore.auth.get_current_datetime
    botocore.auth.get_current_datetime = lambda *a, **k: real(*a, **k) + datetime.timedelta(minutes=minutes)
    try:
        return error_code(boto3.client("kms", config=botocore.config.Config(retries={"max_attempts": 0})).list_keys)
    finally:
        botocore.auth.get_current_datetime = real


for minutes, outcome in ((-4, None), (4, None), (-20, "InvalidSignatureException"), (20, "InvalidSignatureException")):
    def skew(minutes=minutes, outcome=outcome):
        code = at(minutes)
        assert code == outcome, code
    add(f"a clock {minutes:+d} minutes off: {outcome or 'served'}", skew)


@check
def wrong_credentials():
    wrong = boto3.client("kms", aws_access_key_id="AKIANOBODYKNOWSTHIS0", aws_secret_access_key="x" * 40)
    assert error_code(wrong.list_keys) == "UnrecognizedClientException"
    own = boto3.Session().get_credentials()
    assert error_code(boto3.client("kms", aws_access_key_id=own.access_key, aws_secret_access_key="x" * 40).list_keys) == "InvalidSignatureException"


@check
def temporary_credentials():
    user = boto3.client("iam")
    user.create_user(UserName="boto-checks")
    user.put_user_policy(UserName="boto-checks", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["kms:*", "sts:*"], "Resource": "*"}]}))
    keys = user.create_access_key(UserName="boto-checks")["AccessKey"]
    made = boto3.client("sts", aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"]).get_session_token()["Credentials"]
    client = boto3.client("kms", aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"], aws_session_token=made["SessionToken"])
    blob = client.encrypt(KeyId=symmetric, Plaintext=b"for an hour")["CiphertextBlob"]
    assert client.decrypt(CiphertextBlob=blob)["Plaintext"] == b"for an hour"


run()
