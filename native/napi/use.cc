// use.cc - using keys: one call, one operation. The hot path.
#include "call.h"

namespace {

// X(session, key, mech, input, room?, params...): length
struct Transform : Call {
  hsm_session session;
  hsm_key key;
  hsm_mech mech;
  hsm_in input;
  hsm_out room;
  Params params;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    key = arg.Handle(1, "key");
    mech = arg.Word(2, "mech");
    arg.Bytes(3, "input", &input);
    arg.Room(4, "room", &room);
    params.Read(arg, 5);
  }
  napi_value Answer(napi_env env) { return Length(env, room.len); }
};

struct Encrypt : Transform {
  hsm_status Run() { return hsm_encrypt(session, key, mech, params.get(), input, &room); }
};
struct Decrypt : Transform {
  hsm_status Run() { return hsm_decrypt(session, key, mech, params.get(), input, &room); }
};
struct Sign : Transform {
  hsm_status Run() { return hsm_sign(session, key, mech, params.get(), input, &room); }
};
struct Recover : Transform {
  hsm_status Run() { return hsm_recover(session, key, mech, params.get(), input, &room); }
};

// verify(session, key, mech, message, signature, params...): does it fit?
struct Verify : Call {
  hsm_session session;
  hsm_key key;
  hsm_mech mech;
  hsm_in message, signature;
  Params params;
  bool fits = false;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    key = arg.Handle(1, "key");
    mech = arg.Word(2, "mech");
    arg.Bytes(3, "message", &message);
    arg.Bytes(4, "signature", &signature);
    params.Read(arg, 5);
  }
  hsm_status Run() {
    hsm_status status = hsm_verify(session, key, mech, params.get(), message, signature);
    fits = status == HSM_OK;
    return status == HSM_E_SIGNATURE || status == HSM_E_SIGNATURE_LEN ? HSM_OK : status;
  }
  napi_value Answer(napi_env env) { return Boolean(env, fits); }
};

// digest(session, mech, message, room?, params...): length
struct Digest : Call {
  hsm_session session;
  hsm_mech mech;
  hsm_in message;
  hsm_out room;
  Params params;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    mech = arg.Word(1, "mech");
    arg.Bytes(2, "message", &message);
    arg.Room(3, "room", &room);
    params.Read(arg, 4);
  }
  hsm_status Run() { return hsm_digest(session, mech, params.get(), message, &room); }
  napi_value Answer(napi_env env) { return Length(env, room.len); }
};

// derive(session, base, mech, attributes, params...): key
struct Derive : Call {
  hsm_session session;
  hsm_key base, key = 0;
  hsm_mech mech;
  Attrs attrs;
  Params params;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    base = arg.Handle(1, "base");
    mech = arg.Word(2, "mech");
    attrs.Read(arg, 3, "attributes");
    params.Read(arg, 4);
  }
  hsm_status Run() {
    hsm_status status = attrs.Unpack();
    return status != HSM_OK ? status : hsm_derive(session, base, mech, params.get(), attrs.get(), attrs.size(), &key);
  }
  napi_value Answer(napi_env env) { return Handle(env, key); }
};

// wrap(session, kek, mech, key, wrapped?, params...): length
struct Wrap : Call {
  hsm_session session;
  hsm_key kek, key;
  hsm_mech mech;
  hsm_out wrapped;
  Params params;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    kek = arg.Handle(1, "kek");
    mech = arg.Word(2, "mech");
    key = arg.Handle(3, "key");
    arg.Room(4, "wrapped", &wrapped);
    params.Read(arg, 5);
  }
  hsm_status Run() { return hsm_wrap(session, kek, mech, params.get(), key, &wrapped); }
  napi_value Answer(napi_env env) { return Length(env, wrapped.len); }
};

// X(session, key, mech, input, attributes, params...): new key
struct Opening : Call {
  hsm_session session;
  hsm_key by, key = 0;
  hsm_mech mech;
  hsm_in input;
  Attrs attrs;
  Params params;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    by = arg.Handle(1, "key");
    mech = arg.Word(2, "mech");
    arg.Bytes(3, "input", &input);
    attrs.Read(arg, 4, "attributes");
    params.Read(arg, 5);
  }
  napi_value Answer(napi_env env) { return Handle(env, key); }
};

struct Unwrap : Opening {
  hsm_status Run() {
    hsm_status status = attrs.Unpack();
    return status != HSM_OK ? status : hsm_unwrap(session, by, mech, params.get(), input, attrs.get(), attrs.size(), &key);
  }
};

struct Decapsulate : Opening {
  hsm_status Run() {
    hsm_status status = attrs.Unpack();
    return status != HSM_OK ? status : hsm_decapsulate(session, by, mech, params.get(), input, attrs.get(), attrs.size(), &key);
  }
};

// encapsulate(session, key, mech, attributes, ciphertext, params...): [new key, length]
struct Encapsulate : Call {
  hsm_session session;
  hsm_key pub, key = 0;
  hsm_mech mech;
  Attrs attrs;
  hsm_out ciphertext;
  Params params;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    pub = arg.Handle(1, "key");
    mech = arg.Word(2, "mech");
    attrs.Read(arg, 3, "attributes");
    arg.RoomGiven(4, "ciphertext", &ciphertext);
    params.Read(arg, 5);
  }
  hsm_status Run() {
    hsm_status status = attrs.Unpack();
    return status != HSM_OK ? status : hsm_encapsulate(session, pub, mech, params.get(), &ciphertext, attrs.get(), attrs.size(), &key);
  }
  napi_value Answer(napi_env env) { return Numbers(env, {key, ciphertext.len}); }
};

// random(session, room): length, all of room
struct Random : Call {
  hsm_session session;
  hsm_out room;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    arg.RoomGiven(1, "room", &room);
  }
  hsm_status Run() { return hsm_random(session, &room); }
  napi_value Answer(napi_env env) { return Length(env, room.len); }
};

// randomAdd(session, input)
struct RandomAdd : Call {
  hsm_session session;
  hsm_in input;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    arg.Bytes(1, "input", &input);
  }
  hsm_status Run() { return hsm_random_add(session, input); }
};

struct Approved : Call {
  void Read(Args&) {}
  hsm_status Run() { return HSM_OK; }
  napi_value Answer(napi_env env) { return Boolean(env, hsm_approved()); }
};

struct ApprovedCarry : Call {
  bool approved;
  void Read(Args& arg) { approved = arg.Flag(0, "approved"); }
  hsm_status Run() {
    hsm_approved_carry(approved);
    return HSM_OK;
  }
};

// agree(session, key, mech, secret, params...): length. secret is payload.
struct Agree : Call {
  hsm_session session;
  hsm_key key;
  hsm_mech mech;
  hsm_out secret;
  Params params;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    key = arg.Handle(1, "key");
    mech = arg.Word(2, "mech");
    arg.RoomGiven(3, "secret", &secret);
    params.Read(arg, 4);
  }
  hsm_status Run() { return hsm_agree(session, key, mech, params.get(), &secret); }
  napi_value Answer(napi_env env) { return Length(env, secret.len); }
};

// kemSeal(session, key, mech, ciphertext, secret): [length, length]. secret is payload.
struct KemSeal : Call {
  hsm_session session;
  hsm_key key;
  hsm_mech mech;
  hsm_out ciphertext, secret;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    key = arg.Handle(1, "key");
    mech = arg.Word(2, "mech");
    arg.RoomGiven(3, "ciphertext", &ciphertext);
    arg.RoomGiven(4, "secret", &secret);
  }
  hsm_status Run() { return hsm_kem_seal(session, key, mech, &ciphertext, &secret); }
  napi_value Answer(napi_env env) { return Numbers(env, {ciphertext.len, secret.len}); }
};

// kemOpen(session, key, mech, ciphertext, secret): length. secret is payload.
struct KemOpen : Call {
  hsm_session session;
  hsm_key key;
  hsm_mech mech;
  hsm_in ciphertext;
  hsm_out secret;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    key = arg.Handle(1, "key");
    mech = arg.Word(2, "mech");
    arg.Bytes(3, "ciphertext", &ciphertext);
    arg.RoomGiven(4, "secret", &secret);
  }
  hsm_status Run() { return hsm_kem_open(session, key, mech, ciphertext, &secret); }
  napi_value Answer(napi_env env) { return Length(env, secret.len); }
};

// batch(session, use, key, mech, input, lengths, room, outLengths, params...): how many.
// A failure's error says in `done` how many were whole before it.
struct Batch : Call {
  hsm_session session;
  uint32_t use;
  hsm_key key;
  hsm_mech mech;
  hsm_in input;
  const uint32_t* lens = nullptr;
  uint32_t* out_lens = nullptr;
  size_t n = 0, out_n = 0, done = 0;
  hsm_out room;
  Params params;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    use = arg.Word(1, "use");
    key = arg.Handle(2, "key");
    mech = arg.Word(3, "mech");
    arg.Bytes(4, "input", &input);
    arg.Words(5, "lengths", &lens, &n);
    arg.RoomGiven(6, "room", &room);
    arg.WordRoom(7, "outLengths", &out_lens, &out_n);
    if (!arg.Refused() && out_n < n) arg.Refuse("outLengths", "as long as lengths");
    params.Read(arg, 8);
  }
  hsm_status Run() {
    // Checked here, where the lengths can no longer change.
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++) total += lens[i];
    if (total != input.len) return HSM_E_DATA_LEN;
    return hsm_batch(session, use, key, mech, params.get(), input, lens, n, &room, out_lens, &done);
  }
  napi_value Answer(napi_env env) { return Length(env, done); }
  void Explain(napi_env env, napi_value error) { SetNumber(env, error, "done", static_cast<double>(done)); }
};

const Export kList[] = {
    NOW("encrypt", Encrypt),   LATER("encryptSlow", Encrypt), NOW("decrypt", Decrypt),         LATER("decryptSlow", Decrypt),
    NOW("sign", Sign),         LATER("signSlow", Sign),       NOW("verify", Verify),           LATER("verifySlow", Verify),
    NOW("recover", Recover),   LATER("recoverSlow", Recover), NOW("digest", Digest),           NOW("derive", Derive),
    LATER("deriveSlow", Derive), NOW("wrap", Wrap),           LATER("wrapSlow", Wrap),         NOW("unwrap", Unwrap),
    LATER("unwrapSlow", Unwrap), NOW("encapsulate", Encapsulate), NOW("decapsulate", Decapsulate), NOW("random", Random),
    NOW("randomAdd", RandomAdd),
    NOW("approved", Approved), NOW("approvedCarry", ApprovedCarry), NOW("agree", Agree),       NOW("kemSeal", KemSeal),
    NOW("kemOpen", KemOpen),   NOW("batch", Batch),           LATER("batchSlow", Batch),
};

}  // namespace

const Exports kUseExports = {kList, std::size(kList)};
