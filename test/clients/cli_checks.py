"""The AWS CLI's own driver, command after command in one process: a start of Python each would take minutes. openssl judges what has a public key."""
import base64
import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time

import awscli.clidriver

from python_checks import add, check, run

os.chdir(tempfile.mkdtemp(prefix="strongroom-cli-"))
driver = awscli.clidriver.create_clidriver()


def cli(*words):
    """Exit code, output, complaints: as a shell would see them."""
    out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        # The driver is used again and again: a Region once given would stay.
        code = driver.main(["kms", *words, *(() if "--region" in words else ("--region", "us-east-1"))])
    return code, out.buffer.getvalue().decode(), err.getvalue()


def aws(*words):
    code, out, err = cli(*words)
    assert code == 0, (words, err)
    return json.loads(out) if out.strip() else {}


def refused(error, *words):
    code, out, err = cli(*words)
    assert code in (254, 255), (words, code, out)
    assert f"({error})" in err, (words, err)


def key(*words):
    return aws("create-key", *words)["KeyMetadata"]["KeyId"]


def put(name, data):
    with open(name, "wb") as f:
        f.write(data if isinstance(data, bytes) else base64.b64decode(data))
    return "fileb://" + name


def openssl(*words):
    done = subprocess.run(["openssl", *words], capture_output=True)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


put("message", b"a message to sign")
put("other", b"another message")
symmetric = key("--description", "cli")
ARN = aws("describe-key", "--key-id", symmetric)["KeyMetadata"]["Arn"]


# ---- the life of a key

@check
def a_new_key_has_every_member():
    m = aws("create-key", "--description", "d", "--tags", "TagKey=a,TagValue=b")["KeyMetadata"]
    for name in ("AWSAccountId", "Arn", "CreationDate", "CurrentKeyMaterialId", "CustomerMasterKeySpec", "Description", "Enabled", "EncryptionAlgorithms", "KeyId", "KeyManager", "KeySpec", "KeyState", "KeyUsage", "MultiRegion", "Origin"):
        assert name in m, name
    assert m["KeyState"] == "Enabled" and m["KeyManager"] == "CUSTOMER" and m["Origin"] == "AWS_KMS" and m["MultiRegion"] is False


@check
def a_description_changes():
    aws("update-key-description", "--key-id", ARN, "--description", "changed")
    assert aws("describe-key", "--key-id", symmetric)["KeyMetadata"]["Description"] == "changed"


@check
def tags_come_and_go():
    k = key("--tags", "TagKey=a,TagValue=1")
    aws("tag-resource", "--key-id", k, "--tags", "TagKey=b,TagValue=2", "TagKey=a,TagValue=3")
    assert {t["TagKey"]: t["TagValue"] for t in aws("list-resource-tags", "--key-id", k)["Tags"]} == {"a": "3", "b": "2"}
    aws("untag-resource", "--key-id", k, "--tag-keys", "a")
    assert aws("list-resource-tags", "--key-id", k)["Tags"] == [{"TagKey": "b", "TagValue": "2"}]


@check
def an_alias_is_made_moved_and_removed():
    other = key()
    aws("create-alias", "--alias-name", "alias/cli-a", "--target-key-id", symmetric)
    assert aws("describe-key", "--key-id", "alias/cli-a")["KeyMetadata"]["KeyId"] == symmetric
    aws("update-alias", "--alias-name", "alias/cli-a", "--target-key-id", other)
    assert aws("describe-key", "--key-id", "alias/cli-a")["KeyMetadata"]["KeyId"] == other
    aws("delete-alias", "--alias-name", "alias/cli-a")
    refused("NotFoundException", "describe-key", "--key-id", "alias/cli-a")


@check
def an_alias_is_taken_once():
    aws("create-alias", "--alias-name", "alias/cli-once", "--target-key-id", symmetric)
    refused("AlreadyExistsException", "create-alias", "--alias-name", "alias/cli-once", "--target-key-id", symmetric)


@check
def aliases_of_a_key_are_listed():
    names = [a["AliasName"] for a in aws("list-aliases", "--key-id", symmetric)["Aliases"]]
    assert "alias/cli-once" in names


@check
def lists_are_paged():
    ids = {key() for _ in range(4)}
    seen = {k["KeyId"] for k in aws("list-keys", "--page-size", "2")["Keys"]}
    assert ids <= seen
    first = aws("list-keys", "--max-items", "1")
    assert len(first["Keys"]) == 1 and first["NextToken"]


@check
def a_policy_is_read_and_written():
    text = aws("get-key-policy", "--key-id", ARN)
    assert text["PolicyName"] == "default"
    policy = json.loads(text["Policy"])
    policy["Statement"].append({"Sid": "more", "Effect": "Allow", "Principal": {"AWS": policy["Statement"][0]["Principal"]["AWS"]}, "Action": "kms:Decrypt", "Resource": "*"})
    aws("put-key-policy", "--key-id", symmetric, "--policy", json.dumps(policy))
    assert "more" in aws("get-key-policy", "--key-id", symmetric, "--policy-name", "default")["Policy"]
    assert aws("list-key-policies", "--key-id", symmetric)["PolicyNames"] == ["default"]


@check
def a_policy_that_locks_everybody_out_is_refused():
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*"}]}
    refused("MalformedPolicyDocumentException", "put-key-policy", "--key-id", symmetric, "--policy", json.dumps(policy))


@check
def disabled_and_enabled_by_arn():
    k = aws("create-key")["KeyMetadata"]["Arn"]
    aws("disable-key", "--key-id", k)
    refused("DisabledException", "encrypt", "--key-id", k, "--plaintext", "fileb://message")
    refused("DisabledException", "generate-data-key", "--key-id", k, "--key-spec", "AES_256")
    aws("enable-key", "--key-id", k)
    aws("encrypt", "--key-id", k, "--plaintext", "fileb://message")


@check
def deletion_is_scheduled_and_cancelled():
    k = key()
    answer = aws("schedule-key-deletion", "--key-id", k, "--pending-window-in-days", "7")
    assert answer["KeyState"] == "PendingDeletion" and answer["PendingWindowInDays"] == 7
    refused("KMSInvalidStateException", "encrypt", "--key-id", k, "--plaintext", "fileb://message")
    refused("KMSInvalidStateException", "enable-key", "--key-id", k)
    refused("KMSInvalidStateException", "schedule-key-deletion", "--key-id", k)
    aws("cancel-key-deletion", "--key-id", k)
    assert aws("describe-key", "--key-id", k)["KeyMetadata"]["KeyState"] == "Disabled"


@check
def a_deletion_in_six_days_is_refused():
    refused("ValidationException", "schedule-key-deletion", "--key-id", key(), "--pending-window-in-days", "6")


# ---- symmetric

def sealed(k, *context):
    return put("sealed", aws("encrypt", "--key-id", k, "--plaintext", "fileb://message", *context)["CiphertextBlob"])


def opened(*words):
    return base64.b64decode(aws("decrypt", "--ciphertext-blob", "fileb://sealed", *words)["Plaintext"])


@check
def round_trip():
    sealed(symmetric)
    assert opened() == b"a message to sign"


@check
def round_trip_by_arn_and_by_alias():
    sealed("alias/cli-once")
    assert opened("--key-id", ARN) == b"a message to sign"


@check
def a_context_in_any_order():
    sealed(symmetric, "--encryption-context", "a=1,b=2")
    assert opened("--encryption-context", "b=2,a=1") == b"a message to sign"


@check
def another_context_is_refused():
    refused("InvalidCiphertextException", "decrypt", "--ciphertext-blob", "fileb://sealed", "--encryption-context", "a=1")


@check
def another_key_is_refused():
    sealed(symmetric)
    refused("IncorrectKeyException", "decrypt", "--ciphertext-blob", "fileb://sealed", "--key-id", key())


@check
def rubbish_is_refused():
    put("rubbish", b"rubbish" * 20)
    refused("InvalidCiphertextException", "decrypt", "--ciphertext-blob", "fileb://rubbish")


@check
def four_kilobytes_and_not_a_byte_more():
    aws("encrypt", "--key-id", symmetric, "--plaintext", put("4096", bytes(4096)))
    refused("ValidationException", "encrypt", "--key-id", symmetric, "--plaintext", put("4097", bytes(4097)))


@check
def re_encryption():
    other = key()
    sealed(symmetric, "--encryption-context", "a=1")
    moved = aws("re-encrypt", "--ciphertext-blob", "fileb://sealed", "--source-encryption-context", "a=1", "--destination-key-id", other, "--destination-encryption-context", "b=2")
    assert moved["SourceKeyId"] == ARN and moved["KeyId"].endswith(other)
    put("sealed", moved["CiphertextBlob"])
    assert opened("--encryption-context", "b=2") == b"a message to sign"


@check
def data_keys_of_each_size():
    for words, size in ((("--key-spec", "AES_128"), 16), (("--key-spec", "AES_256"), 32), (("--number-of-bytes", "1024"), 1024)):
        made = aws("generate-data-key", "--key-id", symmetric, *words)
        assert len(base64.b64decode(made["Plaintext"])) == size
        put("sealed", made["CiphertextBlob"])
        assert opened() == base64.b64decode(made["Plaintext"])


@check
def a_data_key_without_plaintext():
    made = aws("generate-data-key-without-plaintext", "--key-id", symmetric, "--key-spec", "AES_256")
    assert "Plaintext" not in made
    put("sealed", made["CiphertextBlob"])
    assert len(opened()) == 32


@check
def a_data_key_pair_openssl_can_use():
    made = aws("generate-data-key-pair", "--key-id", symmetric, "--key-pair-spec", "ECC_NIST_P256")
    put("pair.der", made["PrivateKeyPlaintext"])
    put("pair.pub", made["PublicKey"])
    assert openssl("pkey", "-inform", "DER", "-in", "pair.der", "-pubout", "-outform", "DER") == base64.b64decode(made["PublicKey"])


@check
def an_rsa_pair_without_plaintext():
    made = aws("generate-data-key-pair-without-plaintext", "--key-id", symmetric, "--key-pair-spec", "RSA_2048")
    assert "PrivateKeyPlaintext" not in made
    put("sealed", made["PrivateKeyCiphertextBlob"])
    put("pair.der", opened())
    assert openssl("pkey", "-inform", "DER", "-in", "pair.der", "-pubout", "-outform", "DER") == base64.b64decode(made["PublicKey"])


@check
def random_bytes():
    a, b = (aws("generate-random", "--number-of-bytes", "32")["Plaintext"] for _ in range(2))
    assert a != b and len(base64.b64decode(a)) == 32
    refused("ValidationException", "generate-random", "--number-of-bytes", "1025")


@check
def a_dry_run_says_it_would():
    refused("DryRunOperationException", "encrypt", "--key-id", symmetric, "--plaintext", "fileb://message", "--dry-run")


# ---- signatures: every spec, what it may sign with, openssl's verdict

PKCS1, PSS = [], ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
signers = {}


def signer(spec):
    if spec not in signers:
        k = key("--key-spec", spec, "--key-usage", "SIGN_VERIFY")
        put(spec + ".der", aws("get-public-key", "--key-id", k)["PublicKey"])
        openssl("pkey", "-pubin", "-inform", "DER", "-in", spec + ".der", "-out", spec + ".pem")
        signers[spec] = k
    return signers[spec]


def signs(spec, algorithm, digest, options):
    def run_it():
        k = signer(spec)
        made = aws("sign", "--key-id", k, "--message", "fileb://message", "--signing-algorithm", algorithm)
        put("sig", made["Signature"])
        assert b"Verified OK" in openssl("dgst", "-" + digest, *options, "-verify", spec + ".pem", "-signature", "sig", "message")
        assert aws("verify", "--key-id", k, "--message", "fileb://message", "--signature", "fileb://sig", "--signing-algorithm", algorithm)["SignatureValid"] is True
        refused("KMSInvalidSignatureException", "verify", "--key-id", k, "--message", "fileb://other", "--signature", "fileb://sig", "--signing-algorithm", algorithm)
    return run_it


for spec, algorithms in {
    "RSA_2048": [("RSASSA_PKCS1_V1_5_SHA_256", "sha256", PKCS1), ("RSASSA_PSS_SHA_256", "sha256", PSS), ("RSASSA_PSS_SHA_512", "sha512", PSS)],
    "RSA_3072": [("RSASSA_PKCS1_V1_5_SHA_384", "sha384", PKCS1), ("RSASSA_PSS_SHA_384", "sha384", PSS)],
    "RSA_4096": [("RSASSA_PKCS1_V1_5_SHA_512", "sha512", PKCS1), ("RSASSA_PSS_SHA_512", "sha512", PSS)],
    "ECC_NIST_P256": [("ECDSA_SHA_256", "sha256", [])],
    "ECC_NIST_P384": [("ECDSA_SHA_384", "sha384", [])],
    "ECC_NIST_P521": [("ECDSA_SHA_512", "sha512", [])],
    "ECC_SECG_P256K1": [("ECDSA_SHA_256", "sha256", [])],
}.items():
    for algorithm, digest, options in algorithms:
        add(f"signs with {spec}, {algorithm}", signs(spec, algorithm, digest, options))


def signs_digest(spec, algorithm, digest, options):
    def run_it():
        put("digest", hashlib.new(digest, b"a message to sign").digest())
        made = aws("sign", "--key-id", signer(spec), "--message", "fileb://digest", "--message-type", "DIGEST", "--signing-algorithm", algorithm)
        put("sig", made["Signature"])
        assert b"Verified OK" in openssl("dgst", "-" + digest, *options, "-verify", spec + ".pem", "-signature", "sig", "message")
    return run_it


for row in (("RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256", "sha256", PKCS1), ("RSA_3072", "RSASSA_PSS_SHA_384", "sha384", PSS), ("ECC_NIST_P256", "ECDSA_SHA_256", "sha256", []), ("ECC_NIST_P521", "ECDSA_SHA_512", "sha512", [])):
    add(f"a digest is not hashed again: {row[0]}", signs_digest(*row))


@check
def ed25519_by_openssl():
    k = signer("ECC_NIST_EDWARDS25519")
    put("sig", aws("sign", "--key-id", k, "--message", "fileb://message", "--signing-algorithm", "ED25519_SHA_512")["Signature"])
    openssl("pkeyutl", "-verify", "-pubin", "-inkey", "ECC_NIST_EDWARDS25519.pem", "-rawin", "-in", "message", "-sigfile", "sig")


for spec, size in (("ML_DSA_44", 2420), ("ML_DSA_65", 3309), ("ML_DSA_87", 4627)):
    def pq(spec=spec, size=size):
        k = key("--key-spec", spec, "--key-usage", "SIGN_VERIFY")
        made = aws("sign", "--key-id", k, "--message", "fileb://message", "--signing-algorithm", "ML_DSA_SHAKE_256")
        put("sig", made["Signature"])
        assert os.path.getsize("sig") == size
        assert aws("verify", "--key-id", k, "--message", "fileb://message", "--signature", "fileb://sig", "--signing-algorithm", "ML_DSA_SHAKE_256")["SignatureValid"]
    add(f"signs with {spec}", pq)


@check
def a_digest_of_the_wrong_length_is_refused():
    put("digest", b"x" * 31)
    refused("ValidationException", "sign", "--key-id", signer("ECC_NIST_P256"), "--message", "fileb://digest", "--message-type", "DIGEST", "--signing-algorithm", "ECDSA_SHA_256")


@check
def an_algorithm_of_another_key_is_refused():
    refused("InvalidKeyUsageException", "sign", "--key-id", signer("ECC_NIST_P256"), "--message", "fileb://message", "--signing-algorithm", "ECDSA_SHA_384")


@check
def a_symmetric_key_does_not_sign():
    refused("InvalidKeyUsageException", "sign", "--key-id", symmetric, "--message", "fileb://message", "--signing-algorithm", "ECDSA_SHA_256")


@check
def the_first_algorithm_is_the_one_clients_take():
    assert aws("get-public-key", "--key-id", signer("RSA_2048"))["SigningAlgorithms"][0] == "RSASSA_PKCS1_V1_5_SHA_256"


# ---- RSA encryption, MACs, agreement

def oaep(spec, digest):
    def run_it():
        k = key("--key-spec", spec, "--key-usage", "ENCRYPT_DECRYPT")
        put("rsa.der", aws("get-public-key", "--key-id", k)["PublicKey"])
        openssl("pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", "rsa.der", "-in", "message", "-out", "sealed", "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", f"rsa_oaep_md:{digest}", "-pkeyopt", f"rsa_mgf1_md:{digest}")
        name = {"sha1": "RSAES_OAEP_SHA_1", "sha256": "RSAES_OAEP_SHA_256"}[digest]
        assert opened("--key-id", k, "--encryption-algorithm", name) == b"a message to sign"
        put("sealed", aws("encrypt", "--key-id", k, "--plaintext", "fileb://other", "--encryption-algorithm", name)["CiphertextBlob"])
        assert opened("--key-id", k, "--encryption-algorithm", name) == b"another message"
    return run_it


for spec, digest in (("RSA_2048", "sha1"), ("RSA_2048", "sha256"), ("RSA_4096", "sha256")):
    add(f"opens what openssl sealed: {spec}, OAEP {digest}", oaep(spec, digest))

for bits, digest in ((224, "sha224"), (256, "sha256"), (384, "sha384"), (512, "sha512")):
    def mac(bits=bits):
        k = key("--key-spec", f"HMAC_{bits}", "--key-usage", "GENERATE_VERIFY_MAC")
        put("mac", aws("generate-mac", "--key-id", k, "--message", "fileb://message", "--mac-algorithm", f"HMAC_SHA_{bits}")["Mac"])
        assert os.path.getsize("mac") == bits // 8
        assert aws("verify-mac", "--key-id", k, "--message", "fileb://message", "--mac", "fileb://mac", "--mac-algorithm", f"HMAC_SHA_{bits}")["MacValid"]
        refused("KMSInvalidMacException", "verify-mac", "--key-id", k, "--message", "fileb://other", "--mac", "fileb://mac", "--mac-algorithm", f"HMAC_SHA_{bits}")
    add(f"MACs with HMAC_{bits}", mac)

for spec, curve in (("ECC_NIST_P256", "P-256"), ("ECC_NIST_P384", "P-384"), ("ECC_NIST_P521", "P-521")):
    def agree(spec=spec, curve=curve):
        k = key("--key-spec", spec, "--key-usage", "KEY_AGREEMENT")
        put("theirs.der", aws("get-public-key", "--key-id", k)["PublicKey"])
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-out", "ours.pem")
        openssl("pkey", "-in", "ours.pem", "-pubout", "-outform", "DER", "-out", "ours.der")
        secret = aws("derive-shared-secret", "--key-id", k, "--key-agreement-algorithm", "ECDH", "--public-key", "fileb://ours.der")["SharedSecret"]
        assert openssl("pkeyutl", "-derive", "-inkey", "ours.pem", "-peerform", "DER", "-peerkey", "theirs.der") == base64.b64decode(secret)
    add(f"agrees with openssl on a secret: {spec}", agree)


# ---- material of one's own, rotation, grants

def byok(wrapping, spec):
    def run_it():
        k = key("--origin", "EXTERNAL")
        refused("KMSInvalidStateException", "encrypt", "--key-id", k, "--plaintext", "fileb://message")
        given = aws("get-parameters-for-import", "--key-id", k, "--wrapping-algorithm", wrapping, "--wrapping-key-spec", spec)
        put("wrap.der", given["PublicKey"])
        token = put("token", given["ImportToken"])
        digest = "sha1" if wrapping.endswith("_1") else "sha256"
        put("material", bytes(range(32)))
        openssl("pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", "wrap.der", "-in", "material", "-out", "wrapped", "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", f"rsa_oaep_md:{digest}", "-pkeyopt", f"rsa_mgf1_md:{digest}")
        imported = ("import-key-material", "--key-id", k, "--import-token", token, "--encrypted-key-material", "fileb://wrapped", "--expiration-model", "KEY_MATERIAL_DOES_NOT_EXPIRE")
        aws(*imported)
        sealed(k)
        aws("delete-imported-key-material", "--key-id", k)
        refused("KMSInvalidStateException", "decrypt", "--ciphertext-blob", "fileb://sealed")
        aws(*imported)
        assert opened() == b"a message to sign"
    return run_it


for wrapping, spec in (("RSAES_OAEP_SHA_256", "RSA_2048"), ("RSAES_OAEP_SHA_256", "RSA_4096"), ("RSAES_OAEP_SHA_1", "RSA_3072")):
    add(f"imports what openssl wrapped: {wrapping}, {spec}", byok(wrapping, spec))


@check
def rotation_is_switched_on_and_off():
    k = key()
    assert aws("get-key-rotation-status", "--key-id", k)["KeyRotationEnabled"] is False
    aws("enable-key-rotation", "--key-id", k, "--rotation-period-in-days", "180")
    status = aws("get-key-rotation-status", "--key-id", k)
    assert status["KeyRotationEnabled"] and status["RotationPeriodInDays"] == 180
    aws("disable-key-rotation", "--key-id", k)
    assert aws("get-key-rotation-status", "--key-id", k)["KeyRotationEnabled"] is False


@check
def what_older_material_sealed_opens_after_a_rotation():
    k = key()
    sealed(k)
    aws("rotate-key-on-demand", "--key-id", k)
    deadline = time.time() + 20
    while not aws("list-key-rotations", "--key-id", k)["Rotations"] and time.time() < deadline:
        time.sleep(0.2)
    assert [r["RotationType"] for r in aws("list-key-rotations", "--key-id", k)["Rotations"]] == ["ON_DEMAND"]
    assert opened() == b"a message to sign"


@check
def rotation_of_an_asymmetric_key_is_refused():
    refused("UnsupportedOperationException", "enable-key-rotation", "--key-id", signer("RSA_2048"))


@check
def a_grant_is_made_listed_and_revoked():
    k = key()
    account = ARN.split(":")[4]
    made = aws("create-grant", "--key-id", k, "--grantee-principal", f"arn:aws:iam::{account}:root", "--operations", "Encrypt", "Decrypt", "--name", "g", "--constraints", "EncryptionContextSubset={a=1}")
    listed = aws("list-grants", "--key-id", k)["Grants"]
    assert [(g["GrantId"], g["Name"], sorted(g["Operations"]), g["Constraints"]) for g in listed] == [(made["GrantId"], "g", ["Decrypt", "Encrypt"], {"EncryptionContextSubset": {"a": "1"}})]
    assert listed[0]["IssuingAccount"].startswith(f"arn:aws:iam::{account}") and made["GrantToken"]
    aws("revoke-grant", "--key-id", k, "--grant-id", made["GrantId"])
    assert aws("list-grants", "--key-id", k)["Grants"] == []


@check
def a_grant_is_retired():
    k = key()
    account = ARN.split(":")[4]
    made = aws("create-grant", "--key-id", k, "--grantee-principal", f"arn:aws:iam::{account}:root", "--retiring-principal", f"arn:aws:iam::{account}:root", "--operations", "Decrypt")
    assert [g["GrantId"] for g in aws("list-retirable-grants", "--retiring-principal", f"arn:aws:iam::{account}:root")["Grants"] if g["KeyId"].endswith(k)] == [made["GrantId"]]
    aws("retire-grant", "--key-id", aws("describe-key", "--key-id", k)["KeyMetadata"]["Arn"], "--grant-id", made["GrantId"])
    assert aws("list-grants", "--key-id", k)["Grants"] == []


# ---- Regions, refusals

@check
def a_multi_region_key_opens_in_the_other_region():
    k = key("--multi-region")
    assert k.startswith("mrk-")
    aws("replicate-key", "--key-id", k, "--replica-region", "eu-west-1")
    sealed(k)
    deadline = time.time() + 20
    while aws("describe-key", "--key-id", k, "--region", "eu-west-1")["KeyMetadata"]["KeyState"] == "Creating" and time.time() < deadline:
        time.sleep(0.1)
    assert opened("--region", "eu-west-1", "--key-id", k) == b"a message to sign"
    assert aws("describe-key", "--key-id", k)["KeyMetadata"]["MultiRegionConfiguration"]["ReplicaKeys"][0]["Region"] == "eu-west-1"


@check
def a_key_of_one_region_is_not_in_the_other():
    refused("NotFoundException", "describe-key", "--key-id", symmetric, "--region", "eu-west-1")


for name, error, words in (
    ("a key that is not there", "NotFoundException", ("describe-key", "--key-id", "00000000-0000-4000-8000-000000000000")),
    ("an alias of AWS's cannot be made", "NotAuthorizedException|ValidationException", ("create-alias", "--alias-name", "alias/aws/x", "--target-key-id", symmetric)),
    ("a spec that is not one", "ValidationException", ("create-key", "--key-spec", "RSA_1024")),
    ("a usage that does not fit", "ValidationException", ("create-key", "--key-spec", "ECC_NIST_P256", "--key-usage", "ENCRYPT_DECRYPT")),
    ("a public key of a symmetric key", "UnsupportedOperationException", ("get-public-key", "--key-id", symmetric)),
    ("material for a key that has its own", "UnsupportedOperationException", ("get-parameters-for-import", "--key-id", symmetric, "--wrapping-algorithm", "RSAES_OAEP_SHA_256", "--wrapping-key-spec", "RSA_2048")),
    ("a marker that is none", "InvalidMarkerException", ("list-keys", "--marker", "nonsense", "--no-paginate")),
):
    def refusal(error=error, words=words):
        code, out, err = cli(*words)
        assert code != 0 and any(f"({e})" in err for e in error.split("|")), (out, err)
    add(f"refused: {name}", refusal)

run()
