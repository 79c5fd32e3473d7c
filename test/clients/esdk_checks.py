"""AWS Encryption SDK for Python with the keyrings of the Material Providers Library. `checks`; `seal DIR`; `open DIR NAME`."""
import io
import os
import sys

import aws_encryption_sdk
import boto3
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import (
    CreateAwsKmsDiscoveryKeyringInput, CreateAwsKmsEcdhKeyringInput, CreateAwsKmsKeyringInput, CreateAwsKmsMultiKeyringInput, CreateAwsKmsRsaKeyringInput, DiscoveryFilter,
    KmsEcdhStaticConfigurationsKmsPrivateKeyToStaticPublicKey, KmsPrivateKeyToStaticPublicKeyInput,
)
from aws_encryption_sdk.identifiers import Algorithm, CommitmentPolicy
from cryptography.hazmat.primitives import serialization

from python_checks import add, check, run

client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
mpl = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
kms = boto3.client("kms")
CONTEXT = {"purpose": "test", "zone": "ä/b"}


def new_key(**options):
    return kms.create_key(**options)["KeyMetadata"]["Arn"]


def single(key):
    return mpl.create_aws_kms_keyring(CreateAwsKmsKeyringInput(kms_key_id=key, kms_client=kms))


def discovery(accounts):
    return mpl.create_aws_kms_discovery_keyring(CreateAwsKmsDiscoveryKeyringInput(kms_client=kms, discovery_filter=DiscoveryFilter(account_ids=accounts, partition="aws")))


def refused(fn):
    try:
        fn()
    except Exception:
        return
    raise AssertionError("not refused")


def round_trip(keyring, data, algorithm=None):
    options = {} if algorithm is None else {"algorithm": algorithm}
    sealed, _ = client.encrypt(source=data, keyring=keyring, encryption_context=CONTEXT, **options)
    opened, header = client.decrypt(source=sealed, keyring=keyring)
    assert opened == data and header.encryption_context["zone"] == CONTEXT["zone"]
    return sealed


account = boto3.client("sts").get_caller_identity()["Account"]
mode = sys.argv[1]
if mode == "seal":
    with open(os.path.join(sys.argv[2], "python.message"), "wb") as f:
        f.write(client.encrypt(source=b"sealed by Python", keyring=single(new_key()), encryption_context=CONTEXT)[0])
    sys.exit(0)
if mode == "open":
    with open(os.path.join(sys.argv[2], sys.argv[3] + ".message"), "rb") as f:
        opened, header = client.decrypt(source=f.read(), keyring=discovery([account]))
    assert header.encryption_context["purpose"] == "test"
    sys.stdout.buffer.write(opened)
    sys.exit(0)

first, second = new_key(), new_key()
both = mpl.create_aws_kms_multi_keyring(CreateAwsKmsMultiKeyringInput(generator=first, kms_key_ids=[second]))


@check
def Python_one_key_with_a_context():
    round_trip(single(first), b"x" * 1000)


@check
def Python_two_keys_and_either_opens():
    sealed = round_trip(both, b"for two")
    for key in (first, second):
        assert client.decrypt(source=sealed, keyring=single(key))[0] == b"for two"


@check
def Python_a_mebibyte_as_a_stream():
    long = os.urandom(1 << 20)
    with client.stream(mode="e", source=io.BytesIO(long), keyring=single(first), frame_length=8192) as stream:
        sealed = stream.read()
    with client.stream(mode="d", source=io.BytesIO(sealed), keyring=single(first)) as stream:
        assert stream.read() == long


@check
def Python_discovery_in_this_account():
    sealed = round_trip(both, b"found")
    assert client.decrypt(source=sealed, keyring=discovery([account]))[0] == b"found"


@check
def Python_discovery_in_another_account_is_refused():
    sealed = round_trip(both, b"found")
    refused(lambda: client.decrypt(source=sealed, keyring=discovery(["999999999999"])))


@check
def Python_another_key_does_not_open():
    sealed = round_trip(single(first), b"x")
    refused(lambda: client.decrypt(source=sealed, keyring=single(second)))


@check
def Python_a_flipped_byte_is_refused():
    sealed = round_trip(single(first), b"x" * 100)
    for at in (40, len(sealed) // 2, len(sealed) - 5):
        broken = bytearray(sealed)
        broken[at] ^= 1
        refused(lambda: client.decrypt(source=bytes(broken), keyring=single(first)))


@check
def Python_the_older_master_key_provider_and_a_cache():
    provider = aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(key_ids=[first, second])
    cache = aws_encryption_sdk.CachingCryptoMaterialsManager(master_key_provider=provider, cache=aws_encryption_sdk.LocalCryptoMaterialsCache(10), max_age=60.0, max_messages_encrypted=10)
    for n in range(5):
        sealed, _ = client.encrypt(source=b"m%d" % n, materials_manager=cache, encryption_context=CONTEXT)
        assert client.decrypt(source=sealed, materials_manager=cache)[0] == b"m%d" % n


for spec, algorithm in (("RSA_2048", "RSAES_OAEP_SHA_256"), ("RSA_4096", "RSAES_OAEP_SHA_1")):
    def rsa(spec=spec, algorithm=algorithm):
        key = new_key(KeySpec=spec, KeyUsage="ENCRYPT_DECRYPT")
        public = serialization.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        keyring = mpl.create_aws_kms_rsa_keyring(CreateAwsKmsRsaKeyringInput(public_key=pem, kms_key_id=key, encryption_algorithm=algorithm, kms_client=kms))
        round_trip(keyring, b"wrapped outside, unwrapped inside", Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY)
    add(f"Python an RSA keyring: {spec}, {algorithm}", rsa)

for spec in ("ECC_NIST_P256", "ECC_NIST_P384"):
    def ecdh(spec=spec):
        sender, recipient = (new_key(KeySpec=spec, KeyUsage="KEY_AGREEMENT") for _ in range(2))
        publics = [kms.get_public_key(KeyId=k)["PublicKey"] for k in (sender, recipient)]
        scheme = KmsEcdhStaticConfigurationsKmsPrivateKeyToStaticPublicKey(KmsPrivateKeyToStaticPublicKeyInput(sender_kms_identifier=sender, sender_public_key=publics[0], recipient_public_key=publics[1]))
        round_trip(mpl.create_aws_kms_ecdh_keyring(CreateAwsKmsEcdhKeyringInput(curve_spec=spec, key_agreement_scheme=scheme, kms_client=kms)), b"agreed upon")
    add(f"Python an ECDH keyring: {spec}", ecdh)


@check
def Python_a_disabled_key_opens_nothing():
    key = new_key()
    sealed = round_trip(single(key), b"x")
    kms.disable_key(KeyId=key)
    refused(lambda: client.decrypt(source=sealed, keyring=single(key)))


run()
