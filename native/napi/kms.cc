// kms.cc - envelopes, data keys, records: one core call each.
#include "call.h"

namespace {

// envelopeSeal(session, key, pairs, plain, blob?): length
// envelopeOpen(session, key, pairs, blob, plain?): length; plain is payload
struct Envelope : Call {
  hsm_session session;
  hsm_key key;
  hsm_in pairs, input;
  hsm_out room;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    key = arg.Handle(1, "key");
    arg.Bytes(2, "pairs", &pairs);
    arg.Bytes(3, "input", &input);
    arg.Room(4, "room", &room);
  }
  napi_value Answer(napi_env env) { return Length(env, room.len); }
};

struct EnvelopeSeal : Envelope {
  hsm_status Run() { return hsm_envelope_seal(session, key, pairs, input, &room); }
};
struct EnvelopeOpen : Envelope {
  hsm_status Run() { return hsm_envelope_open(session, key, pairs, input, &room); }
};

// envelopeMove(session, from, fromPairs, blob, to, toPairs, moved?): length
struct EnvelopeMove : Call {
  hsm_session session;
  hsm_key from, to;
  hsm_in from_pairs, blob, to_pairs;
  hsm_out moved;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    from = arg.Handle(1, "from");
    arg.Bytes(2, "fromPairs", &from_pairs);
    arg.Bytes(3, "blob", &blob);
    to = arg.Handle(4, "to");
    arg.Bytes(5, "toPairs", &to_pairs);
    arg.Room(6, "moved", &moved);
  }
  hsm_status Run() { return hsm_envelope_move(session, from, from_pairs, blob, to, to_pairs, &moved); }
  napi_value Answer(napi_env env) { return Length(env, moved.len); }
};

// envelopePeek(blob): { account, objectId, materialId }, or undefined when it is not ours
struct EnvelopePeek : Call {
  hsm_in blob;
  hsm_envelope_name name{};
  bool ours = false;
  void Read(Args& arg) { arg.Bytes(0, "blob", &blob); }
  hsm_status Run() {
    hsm_status status = hsm_envelope_peek(blob, &name);
    ours = status == HSM_OK;
    return status == HSM_E_FORMAT ? HSM_OK : status;
  }
  napi_value Answer(napi_env env) {
    if (!ours) return Call::Answer(env);
    napi_value o;
    napi_create_object(env, &o);
    SetString(env, o, "account", reinterpret_cast<const char*>(name.account), sizeof name.account);
    SetString(env, o, "objectId", reinterpret_cast<const char*>(name.object_id), name.object_id_len);
    SetString(env, o, "materialId", reinterpret_cast<const char*>(name.material_id), name.material_id_len);
    return o;
  }
};

// dataKey(session, key, pairs, length, plain?, blob): length of blob. Without plain only the blob leaves.
struct DataKey : Call {
  hsm_session session;
  hsm_key key;
  hsm_in pairs;
  size_t len;
  hsm_out plain, blob;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    key = arg.Handle(1, "key");
    arg.Bytes(2, "pairs", &pairs);
    len = arg.Word(3, "length");
    arg.Room(4, "plain", &plain);
    arg.RoomGiven(5, "blob", &blob);
  }
  hsm_status Run() { return hsm_data_key(session, key, pairs, len, plain.ptr == nullptr ? nullptr : &plain, &blob); }
  napi_value Answer(napi_env env) { return Length(env, blob.len); }
};

// dataKeyPair(session, key, pairs, type, param, spki, plain?, blob): lengths of [spki, plain, blob]
struct DataKeyPair : Call {
  hsm_session session;
  hsm_key key;
  hsm_in pairs;
  hsm_spec spec;
  hsm_out spki, plain, blob;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    key = arg.Handle(1, "key");
    arg.Bytes(2, "pairs", &pairs);
    spec.type = arg.Word(3, "type");
    spec.param = arg.Word(4, "param");
    arg.RoomGiven(5, "spki", &spki);
    arg.Room(6, "plain", &plain);
    arg.RoomGiven(7, "blob", &blob);
  }
  hsm_status Run() { return hsm_data_key_pair(session, key, pairs, spec, &spki, plain.ptr == nullptr ? nullptr : &plain, &blob); }
  napi_value Answer(napi_env env) { return Numbers(env, {spki.len, plain.len, blob.len}); }
};

struct Record : Call {
  char table_room[133], key_room[1029];
  hsm_in table, key, body;
  uint64_t version;
  void ReadRecord(Args& arg) {
    arg.String(0, "table", table_room, &table);
    arg.String(1, "key", key_room, &key);
    version = arg.Count(2, "version");
    arg.Bytes(3, "body", &body);
  }
};

// recordMac(table, key, version, body, mac): length
struct RecordMac : Record {
  hsm_out mac;
  void Read(Args& arg) {
    ReadRecord(arg);
    arg.RoomGiven(4, "mac", &mac);
    if (!arg.Refused() && mac.cap < HSM_RECORD_MAC) arg.Refuse("mac", "room for 32 bytes");
  }
  hsm_status Run() {
    hsm_status status = hsm_record_mac(table, key, version, body, mac.ptr);
    mac.len = status == HSM_OK ? HSM_RECORD_MAC : 0;
    return status;
  }
  napi_value Answer(napi_env env) { return Length(env, mac.len); }
};

// recordCheck(table, key, version, body, mac): does it fit?
struct RecordCheck : Record {
  hsm_in mac;
  bool fits = false;
  void Read(Args& arg) {
    ReadRecord(arg);
    arg.Bytes(4, "mac", &mac);
  }
  hsm_status Run() {
    hsm_status status = hsm_record_check(table, key, version, body, mac);
    fits = status == HSM_OK;
    return status == HSM_E_INTEGRITY ? HSM_OK : status;
  }
  napi_value Answer(napi_env env) { return Boolean(env, fits); }
};

const Export kList[] = {
    NOW("envelopeSeal", EnvelopeSeal), NOW("envelopeOpen", EnvelopeOpen), NOW("envelopeMove", EnvelopeMove),
    NOW("envelopePeek", EnvelopePeek), NOW("dataKey", DataKey),           NOW("dataKeyPair", DataKeyPair),
    LATER("dataKeyPairSlow", DataKeyPair), NOW("recordMac", RecordMac),   NOW("recordCheck", RecordCheck),
};

}  // namespace

const Exports kKmsExports = {kList, std::size(kList)};
