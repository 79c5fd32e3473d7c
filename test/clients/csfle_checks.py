"""MongoDB's client-side field level encryption: libmongocrypt signs its requests with an independent C signer and parses the answers itself. No MongoDB is needed: the key vault is a list."""
import os
import socket

import bson
from bson.binary import Binary
from pymongocrypt.errors import MongoCryptError
from pymongocrypt.mongocrypt import MongoCryptOptions
from pymongocrypt.synchronous.explicit_encrypter import ExplicitEncrypter
from pymongocrypt.synchronous.state_machine import MongoCryptCallback

from python_checks import check, run

first, second, disabled, host, access_key, secret_key = (os.environ[n] for n in ("FIRST", "SECOND", "DISABLED", "ENDPOINT", "ACCESS_KEY", "SECRET_KEY"))
DETERMINISTIC, RANDOM = "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic", "AEAD_AES_256_CBC_HMAC_SHA_512-Random"


class Driver(MongoCryptCallback):
    """What a driver does for libmongocrypt: sockets and the key vault."""

    def __init__(self, vault):
        self.vault = vault

    def kms_request(self, kms_context):
        name, port = kms_context.endpoint.rsplit(":", 1)
        assert f"{name}:{port}" == host, kms_context.endpoint
        with socket.create_connection((name, int(port)), timeout=20) as connection:
            connection.sendall(kms_context.message)
            while kms_context.bytes_needed > 0:
                data = connection.recv(kms_context.bytes_needed)
                if not data:
                    raise OSError("closed")
                kms_context.feed(data)

    def fetch_keys(self, filter):
        wanted = bson.decode(filter)
        ids = {bytes(i) for part in wanted.get("$or", []) for i in part.get("_id", {}).get("$in", [])}
        names = {n for part in wanted.get("$or", []) for n in part.get("keyAltNames", {}).get("$in", [])}
        for raw in self.vault:
            key = bson.decode(raw)
            if not wanted.get("$or") or bytes(key["_id"]) in ids or names & set(key.get("keyAltNames", [])):
                yield raw

    def insert_data_key(self, data_key):
        self.vault.append(bytes(data_key))
        return Binary(bytes(bson.decode(data_key)["_id"]), 4)

    def bson_encode(self, doc):
        return bson.encode(doc)

    def collection_info(self, database, filter):
        raise NotImplementedError

    def mark_command(self, database, cmd):
        raise NotImplementedError

    def close(self):
        pass


def encrypter(vault, secret=secret_key):
    return ExplicitEncrypter(Driver(vault), MongoCryptOptions({"aws": {"accessKeyId": access_key, "secretAccessKey": secret}}))


def master(key):
    return {"region": "us-east-1", "key": key, "endpoint": host}


def refused(pattern, fn):
    try:
        fn()
    except MongoCryptError as e:
        assert pattern in str(e), e
        return
    raise AssertionError("not refused")


def encrypted(client, value, algorithm, **by):
    return client.encrypt(bson.encode({"v": value}), algorithm, **by)


vault = []
client = encrypter(vault)
key_id = client.create_data_key("aws", master_key=master(first), key_alt_names=["field"])


@check
def a_data_key_rests_under_our_key():
    document = bson.decode(vault[0])
    assert document["masterKey"]["key"] == first and document["masterKey"]["provider"] == "aws"
    assert len(document["keyMaterial"]) > 96


@check
def a_field_goes_round():
    sealed = encrypted(client, "123-45-6789", RANDOM, key_id=key_id)
    assert b"123-45" not in sealed
    assert bson.decode(client.decrypt(sealed))["v"] == "123-45-6789"


@check
def a_deterministic_field_is_the_same_twice_and_a_random_one_is_not():
    assert encrypted(client, "same", DETERMINISTIC, key_id=key_id) == encrypted(client, "same", DETERMINISTIC, key_alt_name="field")
    assert encrypted(client, "same", RANDOM, key_id=key_id) != encrypted(client, "same", RANDOM, key_id=key_id)


@check
def a_client_that_starts_anew_asks_us_and_reads():
    sealed = encrypted(client, {"nested": [1, 2]}, RANDOM, key_id=key_id)
    assert bson.decode(encrypter(vault).decrypt(sealed))["v"] == {"nested": [1, 2]}


@check
def data_keys_are_rewrapped_under_another_key():
    sealed = encrypted(client, "kept", RANDOM, key_id=key_id)
    moved = bson.decode(encrypter(vault).rewrap_many_data_key({}, "aws", master(second)))["v"]
    assert [d["masterKey"]["key"] for d in moved] == [second]
    fresh = [bson.encode({**bson.decode(vault[0]), **moved[0]})]
    assert bson.decode(encrypter(fresh).decrypt(sealed))["v"] == "kept"


@check
def a_wrong_secret_is_refused():
    sealed = encrypted(client, "x", RANDOM, key_id=key_id)
    refused("InvalidSignatureException", lambda: encrypter(vault, "x" * 40).decrypt(sealed))


@check
def a_data_key_that_was_edited_is_refused():
    document = bson.decode(vault[0])
    material = bytearray(document["keyMaterial"])
    material[-4] ^= 1
    sealed = encrypted(client, "x", RANDOM, key_id=key_id)
    refused("InvalidCiphertextException", lambda: encrypter([bson.encode({**document, "keyMaterial": Binary(bytes(material))})]).decrypt(sealed))


@check
def a_disabled_key_makes_no_data_keys():
    refused("DisabledException", lambda: encrypter([]).create_data_key("aws", master_key=master(disabled)))


@check
def a_key_that_is_not_there_is_refused():
    refused("NotFoundException", lambda: encrypter([]).create_data_key("aws", master_key=master(first[:-12] + "000000000000")))


run()
