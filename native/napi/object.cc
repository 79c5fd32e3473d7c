// object.cc - objects: made, copied, described, found, sealed, opened.
#include "call.h"

namespace {

// generate(session, partition, type, param, attributes): key
struct Generate : Call {
  hsm_session session;
  hsm_part part;
  hsm_spec spec;
  Attrs attrs;
  hsm_key key = 0;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    part = arg.Handle(1, "partition");
    spec.type = arg.Word(2, "type");
    spec.param = arg.Word(3, "param");
    attrs.Read(arg, 4, "attributes");
  }
  hsm_status Run() {
    hsm_status status = attrs.Unpack();
    return status != HSM_OK ? status : hsm_generate(session, part, spec, attrs.get(), attrs.size(), &key);
  }
  napi_value Answer(napi_env env) { return Handle(env, key); }
};

// generatePair(session, partition, type, param, publicAttributes, attributes, withPublic, params...):
// [key, public key or 0]
struct GeneratePair : Call {
  hsm_session session;
  hsm_part part;
  hsm_spec spec;
  Attrs pub_attrs, attrs;
  bool with_public;
  Params params;
  hsm_key pub = 0, key = 0;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    part = arg.Handle(1, "partition");
    spec.type = arg.Word(2, "type");
    spec.param = arg.Word(3, "param");
    pub_attrs.Read(arg, 4, "publicAttributes");
    attrs.Read(arg, 5, "attributes");
    with_public = arg.Flag(6, "withPublic");
    params.Read(arg, 7);
  }
  hsm_status Run() {
    hsm_status status = pub_attrs.Unpack();
    if (status == HSM_OK) status = attrs.Unpack();
    return status != HSM_OK ? status
                            : hsm_generate_pair(session, part, spec, params.get(), pub_attrs.get(), pub_attrs.size(), attrs.get(),
                                                attrs.size(), with_public ? &pub : nullptr, &key);
  }
  napi_value Answer(napi_env env) { return Numbers(env, {key, pub}); }
};

// create(session, partition, attributes): key
struct Create : Call {
  hsm_session session;
  hsm_part part;
  Attrs attrs;
  hsm_key key = 0;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    part = arg.Handle(1, "partition");
    attrs.Read(arg, 2, "attributes");
  }
  hsm_status Run() {
    hsm_status status = attrs.Unpack();
    return status != HSM_OK ? status : hsm_create(session, part, attrs.get(), attrs.size(), &key);
  }
  napi_value Answer(napi_env env) { return Handle(env, key); }
};

// copy(session, key, attributes): key
struct Copy : Call {
  hsm_session session;
  hsm_key from, key = 0;
  Attrs attrs;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    from = arg.Handle(1, "key");
    attrs.Read(arg, 2, "attributes");
  }
  hsm_status Run() {
    hsm_status status = attrs.Unpack();
    return status != HSM_OK ? status : hsm_copy(session, from, attrs.get(), attrs.size(), &key);
  }
  napi_value Answer(napi_env env) { return Handle(env, key); }
};

struct OnKey : Call {
  hsm_session session;
  hsm_key key;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    key = arg.Handle(1, "key");
  }
};

struct Destroy : OnKey {
  hsm_status Run() { return hsm_destroy(session, key); }
};

struct ObjectClose : OnKey {
  hsm_status Run() { return hsm_object_close(session, key); }
};

// Attributes that are the key itself, where the object holds a secret.
bool IsKeyMaterial(uint32_t type) {
  switch (type) {
    case HSM_ATTR_VALUE:
    case HSM_ATTR_SEED:
    case HSM_ATTR_PRIVATE_EXPONENT:
    case HSM_ATTR_PRIME_1:
    case HSM_ATTR_PRIME_2:
    case HSM_ATTR_EXPONENT_1:
    case HSM_ATTR_EXPONENT_2:
    case HSM_ATTR_COEFFICIENT: return true;
    default: return false;
  }
}

// attrGet(session, key, type, value?): length. PKCS#11 lets a key that is not
// sensitive be read; this door gives no key to JavaScript, whatever its flags.
struct AttrGet : OnKey {
  uint32_t type;
  hsm_out value;
  void Read(Args& arg) {
    OnKey::Read(arg);
    type = arg.Word(2, "type");
    arg.Room(3, "value", &value);
  }
  hsm_status Run() {
    hsm_key_info info{};
    if (IsKeyMaterial(type)) {
      hsm_status status = hsm_key_describe(session, key, &info);
      if (status != HSM_OK) return status;
      if (info.klass == HSM_CLASS_SECRET || info.klass == HSM_CLASS_PRIVATE) return HSM_E_ATTR_SENSITIVE;
    }
    return hsm_attr_get(session, key, type, &value);
  }
  napi_value Answer(napi_env env) { return Length(env, value.len); }
};

// attrSet(session, key, attributes)
struct AttrSet : OnKey {
  Attrs attrs;
  void Read(Args& arg) {
    OnKey::Read(arg);
    attrs.Read(arg, 2, "attributes");
  }
  hsm_status Run() {
    hsm_status status = attrs.Unpack();
    return status != HSM_OK ? status : hsm_attr_set(session, key, attrs.get(), attrs.size());
  }
};

struct KeyDescribe : OnKey {
  hsm_key_info info{};
  hsm_status Run() { return hsm_key_describe(session, key, &info); }
  napi_value Answer(napi_env env) {
    napi_value o, spec;
    napi_create_object(env, &o);
    napi_create_object(env, &spec);
    SetNumber(env, spec, "type", info.spec.type);
    SetNumber(env, spec, "param", info.spec.param);
    SetNumber(env, o, "class", info.klass);
    napi_set_named_property(env, o, "spec", spec);
    SetNumber(env, o, "use", info.use);
    SetFlag(env, o, "sensitive", info.sensitive);
    SetFlag(env, o, "extractable", info.extractable);
    SetFlag(env, o, "alwaysSensitive", info.always_sensitive);
    SetFlag(env, o, "neverExtractable", info.never_extractable);
    SetFlag(env, o, "local", info.local);
    SetFlag(env, o, "loaded", info.loaded);
    SetNumber(env, o, "partition", static_cast<double>(info.part));
    return o;
  }
};

// find(session, attributes, room): count. room[0] is the cursor, in and out (0: start); keys follow.
struct Find : Call {
  hsm_session session;
  Attrs attrs;
  double* room = nullptr;
  size_t cap = 0, count = 0;
  static constexpr size_t kMost = 256;
  hsm_key keys[kMost];
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    attrs.Read(arg, 1, "attributes");
    arg.DoubleRoom(2, "room", &room, &cap);
    if (!arg.Refused() && (cap < 2 || !(room[0] >= 0 && room[0] < 9007199254740992.0))) arg.Refuse("room", "a cursor and room for keys");
  }
  hsm_status Run() {
    uint64_t cursor = static_cast<uint64_t>(room[0]);
    hsm_status status = attrs.Unpack();
    if (status != HSM_OK) return status;
    count = cap - 1 < kMost ? cap - 1 : kMost;
    status = hsm_find(session, attrs.get(), attrs.size(), &cursor, keys, &count);
    if (status != HSM_OK) return status;
    room[0] = static_cast<double>(cursor);
    for (size_t i = 0; i < count; i++) room[1 + i] = static_cast<double>(keys[i]);
    return HSM_OK;
  }
  napi_value Answer(napi_env env) { return Length(env, count); }
};

// publicKey(session, key, spki?): length
struct PublicKey : OnKey {
  hsm_out spki;
  void Read(Args& arg) {
    OnKey::Read(arg);
    arg.Room(2, "spki", &spki);
  }
  hsm_status Run() { return hsm_public_key(session, key, &spki); }
  napi_value Answer(napi_env env) { return Length(env, spki.len); }
};

struct Bound : Call {
  char object_room[69], material_room[69];
  hsm_binding binding{};
  void ReadBinding(Args& arg, size_t i) {
    arg.String(i, "objectId", object_room, &binding.object_id);
    arg.String(i + 1, "materialId", material_room, &binding.material_id);
  }
};

// objectSeal(session, key, objectId, materialId, sealed?): length
struct ObjectSeal : Bound {
  hsm_session session;
  hsm_key key;
  hsm_out sealed;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    key = arg.Handle(1, "key");
    ReadBinding(arg, 2);
    arg.Room(4, "sealed", &sealed);
  }
  hsm_status Run() { return hsm_object_seal(session, key, binding, &sealed); }
  napi_value Answer(napi_env env) { return Length(env, sealed.len); }
};

// objectOpen(session, partition, objectId, materialId, sealed): key
struct ObjectOpen : Bound {
  hsm_session session;
  hsm_part part;
  hsm_in sealed;
  hsm_key key = 0;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    part = arg.Handle(1, "partition");
    ReadBinding(arg, 2);
    arg.Bytes(4, "sealed", &sealed);
  }
  hsm_status Run() { return hsm_object_open(session, part, binding, sealed, &key); }
  napi_value Answer(napi_env env) { return Handle(env, key); }
};

const Export kList[] = {
    NOW("generate", Generate),       NOW("generatePair", GeneratePair), LATER("generatePairSlow", GeneratePair),
    NOW("create", Create),           LATER("createSlow", Create),       NOW("copy", Copy),
    NOW("destroy", Destroy),         NOW("attrGet", AttrGet),           NOW("attrSet", AttrSet),
    NOW("keyDescribe", KeyDescribe), NOW("find", Find),                 NOW("publicKey", PublicKey),
    NOW("objectSeal", ObjectSeal),   NOW("objectOpen", ObjectOpen),     NOW("objectClose", ObjectClose),
};

}  // namespace

const Exports kObjectExports = {kList, std::size(kList)};
