"""What Python programs do with a token, through python-pkcs11 and PyKCS11: one JSON line a check.
Arguments: module, token, PIN."""
import hashlib
import json
import os
import sys
import threading

import pkcs11
import PyKCS11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_ecdsa_signature, encode_named_curve_parameters

MODULE, TOKEN, PIN = sys.argv[1:4]
failed = False


def check(name, work):
    global failed
    try:
        work()
        print(json.dumps({"name": name, "ok": True}), flush=True)
    except Exception as why:  # whatever it was is told
        failed = True
        print(json.dumps({"name": name, "ok": False, "why": repr(why)}), flush=True)


# ---- python-pkcs11

library = pkcs11.lib(MODULE)
token = library.get_token(token_label=TOKEN)


def rsa(session):
    public, private = session.generate_keypair(KeyType.RSA, 2048, label="py-rsa")
    pss = (Mechanism.SHA256, pkcs11.MGF.SHA256, 32)
    for mechanism, param in ((Mechanism.SHA256_RSA_PKCS, None), (Mechanism.SHA512_RSA_PKCS, None), (Mechanism.SHA256_RSA_PKCS_PSS, pss)):
        signature = private.sign(b"text", mechanism=mechanism, mechanism_param=param)
        assert public.verify(b"text", signature, mechanism=mechanism, mechanism_param=param)
        assert not public.verify(b"other", signature, mechanism=mechanism, mechanism_param=param)
    for hash_, mgf in ((Mechanism.SHA_1, pkcs11.MGF.SHA1), (Mechanism.SHA256, pkcs11.MGF.SHA256), (Mechanism.SHA512, pkcs11.MGF.SHA512)):
        sealed = public.encrypt(b"sealed", mechanism_param=(hash_, mgf, b"label"))
        assert private.decrypt(sealed, mechanism_param=(hash_, mgf, b"label")) == b"sealed"


def ec(session, name):
    parameters = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: encode_named_curve_parameters(name)}, local=True)
    public, private = parameters.generate_keypair(label="py-" + name)
    signature = private.sign(b"text", mechanism=Mechanism.ECDSA_SHA256)
    assert public.verify(b"text", signature, mechanism=Mechanism.ECDSA_SHA256)
    assert len(encode_ecdsa_signature(signature)) > 60
    other, secret = parameters.generate_keypair()
    one = private.derive_key(KeyType.AES, 128, mechanism_param=(pkcs11.KDF.NULL, None, other[Attribute.EC_POINT]), template={Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True})
    two = secret.derive_key(KeyType.AES, 128, mechanism_param=(pkcs11.KDF.NULL, None, public[Attribute.EC_POINT]), template={Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True})
    assert one[Attribute.VALUE] == two[Attribute.VALUE]


def aes(session):
    key = session.generate_key(KeyType.AES, 256, store=True, label="py-aes")
    iv = os.urandom(16)
    assert key.decrypt(key.encrypt(b"x" * 999, mechanism_param=iv), mechanism_param=iv) == b"x" * 999
    blocks = list(key.encrypt((b"y" * 500 for _ in range(5)), mechanism_param=iv))
    assert b"".join(key.decrypt(blocks, mechanism_param=iv)) == b"y" * 2500
    inner = session.generate_key(KeyType.AES, 128, template={Attribute.EXTRACTABLE: True, Attribute.SENSITIVE: False})
    back = key.unwrap_key(ObjectClass.SECRET_KEY, KeyType.AES, key.wrap_key(inner), template={Attribute.EXTRACTABLE: True, Attribute.SENSITIVE: False})
    assert back[Attribute.VALUE] == inner[Attribute.VALUE]


def objects(session):
    found = list(session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: "py-aes"}))
    assert len(found) == 1
    found[0][Attribute.LABEL] = "py-renamed"
    assert len(list(session.get_objects({Attribute.LABEL: "py-renamed"}))) == 1
    found[0].destroy()
    assert len(list(session.get_objects({Attribute.LABEL: "py-renamed"}))) == 0


def wrong_pin():
    try:
        token.open(user_pin="0000")
    except pkcs11.exceptions.PinIncorrect:
        return
    raise AssertionError("a wrong PIN is taken")


check("python-pkcs11: a wrong PIN", wrong_pin)
with token.open(rw=True, user_pin=PIN) as session:
    check("python-pkcs11: RSA, PSS, OAEP", lambda: rsa(session))
    for curve in ("secp256r1", "secp384r1", "secp521r1", "secp256k1"):
        check("python-pkcs11: " + curve, lambda: ec(session, curve))
    check("python-pkcs11: AES, in parts, wrapping", lambda: aes(session))
    check("python-pkcs11: objects", lambda: objects(session))
    check("python-pkcs11: digests", lambda: None if session.digest(b"abc", mechanism=Mechanism.SHA256) == hashlib.sha256(b"abc").digest() else 1 / 0)

# ---- PyKCS11, in the same process: the module is initialised already

kit = PyKCS11.PyKCS11Lib()
kit.load(MODULE)
slot = next(s for s in kit.getSlotList(tokenPresent=True) if kit.getTokenInfo(s).label.strip() == TOKEN)


def kit_session():
    return kit.openSession(slot, PyKCS11.CKF_SERIAL_SESSION | PyKCS11.CKF_RW_SESSION)


def kit_rsa():
    public, private = session2.generateKeyPair(
        [(PyKCS11.CKA_MODULUS_BITS, 2048), (PyKCS11.CKA_PUBLIC_EXPONENT, (1, 0, 1)), (PyKCS11.CKA_VERIFY, True), (PyKCS11.CKA_ENCRYPT, True)],
        [(PyKCS11.CKA_SIGN, True), (PyKCS11.CKA_DECRYPT, True)])
    signature = session2.sign(private, b"text", PyKCS11.Mechanism(PyKCS11.CKM_SHA256_RSA_PKCS, None))
    assert session2.verify(public, b"text", signature, PyKCS11.Mechanism(PyKCS11.CKM_SHA256_RSA_PKCS, None))
    pss = PyKCS11.RSA_PSS_Mechanism(PyKCS11.CKM_SHA384_RSA_PKCS_PSS, PyKCS11.CKM_SHA384, PyKCS11.CKG_MGF1_SHA384, 48)
    assert session2.verify(public, b"text", session2.sign(private, b"text", pss), pss)
    oaep = PyKCS11.RSAOAEPMechanism(PyKCS11.CKM_SHA256, PyKCS11.CKG_MGF1_SHA256)
    assert bytes(session2.decrypt(private, session2.encrypt(public, b"sealed", oaep), oaep)) == b"sealed"


def kit_aes():
    key = session2.generateKey([(PyKCS11.CKA_CLASS, PyKCS11.CKO_SECRET_KEY), (PyKCS11.CKA_KEY_TYPE, PyKCS11.CKK_AES), (PyKCS11.CKA_VALUE_LEN, 32),
                                (PyKCS11.CKA_ENCRYPT, True), (PyKCS11.CKA_DECRYPT, True)])
    gcm = PyKCS11.AES_GCM_Mechanism(bytes(12), b"beside", 128)
    assert bytes(session2.decrypt(key, session2.encrypt(key, b"a text", gcm), gcm)) == b"a text"


def crowd():
    wrong = []

    def work():
        try:
            own = kit_session()
            for _ in range(20):
                assert bytes(own.digest(b"abc", PyKCS11.Mechanism(PyKCS11.CKM_SHA256, None))) == hashlib.sha256(b"abc").digest()
            own.closeSession()
        except Exception as why:
            wrong.append(why)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong


session2 = kit_session()
session2.login(PIN)
check("PyKCS11: RSA, PSS, OAEP with SHA-256", kit_rsa)
check("PyKCS11: AES-GCM", kit_aes)
check("PyKCS11: sixteen threads", crowd)
session2.logout()
session2.closeSession()
sys.exit(1 if failed else 0)
