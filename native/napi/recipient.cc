// recipient.cc - plaintext for an attested recipient, and key material from outside.
#include "call.h"

namespace {

// recipientOpen(session, key, pairs, blob, recipient, cms): length
struct RecipientOpen : Call {
  hsm_session session;
  hsm_key key;
  hsm_in pairs, blob, recipient;
  hsm_out cms;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    key = arg.Handle(1, "key");
    arg.Bytes(2, "pairs", &pairs);
    arg.Bytes(3, "blob", &blob);
    arg.Bytes(4, "recipient", &recipient);
    arg.RoomGiven(5, "cms", &cms);
  }
  hsm_status Run() { return hsm_recipient_open(session, key, pairs, blob, recipient, &cms); }
  napi_value Answer(napi_env env) { return Length(env, cms.len); }
};

// recipientDecrypt(session, key, mech, input, recipient, cms, params...): length
struct RecipientDecrypt : Call {
  hsm_session session;
  hsm_key key;
  hsm_mech mech;
  hsm_in input, recipient;
  hsm_out cms;
  Params params;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    key = arg.Handle(1, "key");
    mech = arg.Word(2, "mech");
    arg.Bytes(3, "input", &input);
    arg.Bytes(4, "recipient", &recipient);
    arg.RoomGiven(5, "cms", &cms);
    params.Read(arg, 6);
  }
  hsm_status Run() { return hsm_recipient_decrypt(session, key, mech, params.get(), input, recipient, &cms); }
  napi_value Answer(napi_env env) { return Length(env, cms.len); }
};

// recipientDataKey(session, key, pairs, length, recipient, cms, blob): lengths of [cms, blob]
struct RecipientDataKey : Call {
  hsm_session session;
  hsm_key key;
  hsm_in pairs, recipient;
  size_t len;
  hsm_out cms, blob;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    key = arg.Handle(1, "key");
    arg.Bytes(2, "pairs", &pairs);
    len = arg.Word(3, "length");
    arg.Bytes(4, "recipient", &recipient);
    arg.RoomGiven(5, "cms", &cms);
    arg.RoomGiven(6, "blob", &blob);
  }
  hsm_status Run() { return hsm_recipient_data_key(session, key, pairs, len, recipient, &cms, &blob); }
  napi_value Answer(napi_env env) { return Numbers(env, {cms.len, blob.len}); }
};

// recipientDataKeyPair(session, key, pairs, type, param, recipient, spki, cms, blob): lengths of [spki, cms, blob]
struct RecipientDataKeyPair : Call {
  hsm_session session;
  hsm_key key;
  hsm_in pairs, recipient;
  hsm_spec spec;
  hsm_out spki, cms, blob;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    key = arg.Handle(1, "key");
    arg.Bytes(2, "pairs", &pairs);
    spec.type = arg.Word(3, "type");
    spec.param = arg.Word(4, "param");
    arg.Bytes(5, "recipient", &recipient);
    arg.RoomGiven(6, "spki", &spki);
    arg.RoomGiven(7, "cms", &cms);
    arg.RoomGiven(8, "blob", &blob);
  }
  hsm_status Run() { return hsm_recipient_data_key_pair(session, key, pairs, spec, recipient, &spki, &cms, &blob); }
  napi_value Answer(napi_env env) { return Numbers(env, {spki.len, cms.len, blob.len}); }
};

// recipientRandom(session, length, recipient, cms): length
struct RecipientRandom : Call {
  hsm_session session;
  size_t len;
  hsm_in recipient;
  hsm_out cms;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    len = arg.Word(1, "length");
    arg.Bytes(2, "recipient", &recipient);
    arg.RoomGiven(3, "cms", &cms);
  }
  hsm_status Run() { return hsm_recipient_random(session, len, recipient, &cms); }
  napi_value Answer(napi_env env) { return Length(env, cms.len); }
};

// recipientAgree(session, key, mech, recipient, cms, params...): length
struct RecipientAgree : Call {
  hsm_session session;
  hsm_key key;
  hsm_mech mech;
  hsm_in recipient;
  hsm_out cms;
  Params params;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    key = arg.Handle(1, "key");
    mech = arg.Word(2, "mech");
    arg.Bytes(3, "recipient", &recipient);
    arg.RoomGiven(4, "cms", &cms);
    params.Read(arg, 5);
  }
  hsm_status Run() { return hsm_recipient_agree(session, key, mech, params.get(), recipient, &cms); }
  napi_value Answer(napi_env env) { return Length(env, cms.len); }
};

// importBegin(service, partition, objectId, wrap, bits, expiresMs, spki, token): lengths of [spki, token]
struct ImportBegin : Call {
  hsm_session service;
  hsm_part part;
  char id_room[65];
  hsm_in id;
  uint32_t wrap, bits;
  uint64_t expires;
  hsm_out spki, token;
  void Read(Args& arg) {
    service = arg.Handle(0, "service");
    part = arg.Handle(1, "partition");
    arg.String(2, "objectId", id_room, &id);
    wrap = arg.Word(3, "wrap");
    bits = arg.Word(4, "bits");
    expires = arg.Count(5, "expiresMs");
    arg.RoomGiven(6, "spki", &spki);
    arg.RoomGiven(7, "token", &token);
  }
  hsm_status Run() {
    id.ptr = reinterpret_cast<const uint8_t*>(id_room);         // the call may have moved
    return hsm_import_begin(service, part, id, static_cast<hsm_import_wrap>(wrap), bits, expires, &spki, &token);
  }
  napi_value Answer(napi_env env) { return Numbers(env, {spki.len, token.len}); }
};

// importFinish(service, partition, objectId, token, wrapped, nowMs, type, param, attributes, fingerprint): key
struct ImportFinish : Call {
  hsm_session service;
  hsm_part part;
  char id_room[65];
  hsm_in id, token, wrapped;
  uint64_t now;
  hsm_spec spec;
  Attrs attrs;
  hsm_out fingerprint;
  hsm_key key = 0;
  void Read(Args& arg) {
    service = arg.Handle(0, "service");
    part = arg.Handle(1, "partition");
    arg.String(2, "objectId", id_room, &id);
    arg.Bytes(3, "token", &token);
    arg.Bytes(4, "wrapped", &wrapped);
    now = arg.Count(5, "nowMs");
    spec.type = arg.Word(6, "type");
    spec.param = arg.Word(7, "param");
    attrs.Read(arg, 8, "attributes");
    arg.RoomGiven(9, "fingerprint", &fingerprint);
    if (!arg.Refused() && fingerprint.cap < HSM_IMPORT_FINGERPRINT) arg.Refuse("fingerprint", "room for 32 bytes");
  }
  hsm_status Run() {
    id.ptr = reinterpret_cast<const uint8_t*>(id_room);
    hsm_status status = attrs.Unpack();
    if (status == HSM_OK)
      status = hsm_import_finish(service, part, id, token, wrapped, now, spec, attrs.get(), attrs.size(), fingerprint.ptr, &key);
    fingerprint.len = status == HSM_OK ? HSM_IMPORT_FINGERPRINT : 0;
    return status;
  }
  napi_value Answer(napi_env env) { return Handle(env, key); }
};

const Export kList[] = {
    NOW("recipientOpen", RecipientOpen),
    NOW("recipientDecrypt", RecipientDecrypt),
    LATER("recipientDecryptSlow", RecipientDecrypt),
    NOW("recipientDataKey", RecipientDataKey),
    NOW("recipientDataKeyPair", RecipientDataKeyPair),
    LATER("recipientDataKeyPairSlow", RecipientDataKeyPair),
    NOW("recipientRandom", RecipientRandom),
    NOW("recipientAgree", RecipientAgree),
    NOW("importBegin", ImportBegin),
    LATER("importBeginSlow", ImportBegin),
    NOW("importFinish", ImportFinish),
    LATER("importFinishSlow", ImportFinish),
};

}  // namespace

const Exports kRecipientExports = {kList, std::size(kList)};
