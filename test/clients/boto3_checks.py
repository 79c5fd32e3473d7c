"""boto3 against a running server: typed exceptions, paginators, waits, threads. Prints one JSON line a check."""
import concurrent.futures
import hashlib
import json
import sys
import traceback

import boto3
import botocore.exceptions

kms = boto3.client("kms")
checks = []


def check(fn):
    checks.append(fn)
    return fn


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


failed = 0
for fn in checks:
    try:
        fn()
        print(json.dumps({"name": fn.__name__, "ok": True}))
    except BaseException:
        failed += 1
        print(json.dumps({"name": fn.__name__, "ok": False, "why": traceback.format_exc()}))
sys.exit(1 if failed else 0)
