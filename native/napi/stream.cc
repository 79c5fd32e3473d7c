// stream.cc - operations in many parts; their state lies in the session.
#include "call.h"

namespace {

// begin(session, use, key, mech, params...). key 0: a digest
struct Begin : Call {
  hsm_session session;
  uint32_t use;
  hsm_key key;
  hsm_mech mech;
  Params params;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    use = arg.Word(1, "use");
    key = arg.Handle(2, "key");
    mech = arg.Word(3, "mech");
    params.Read(arg, 4);
  }
  hsm_status Run() { return hsm_begin(session, use, key, mech, params.get()); }
};

struct Part : Call {
  hsm_session session;
  uint32_t use;
  hsm_in input{}, signature{};
  hsm_out room{};
  bool fits = true;
  void ReadUse(Args& arg) {
    session = arg.Handle(0, "session");
    use = arg.Word(1, "use");
  }
  hsm_status Judge(hsm_status status) {
    fits = status == HSM_OK;
    return status == HSM_E_SIGNATURE || status == HSM_E_SIGNATURE_LEN ? HSM_OK : status;
  }
  // A length, or -1: the signature does not fit.
  napi_value Answer(napi_env env) { return fits ? Length(env, room.len) : Number(env, -1); }
};

// once(session, use, input, signature?, room?): length or -1
struct Once : Part {
  void Read(Args& arg) {
    ReadUse(arg);
    arg.Bytes(2, "input", &input);
    arg.BytesIfGiven(3, "signature", &signature);
    arg.Room(4, "room", &room);
  }
  hsm_status Run() { return Judge(hsm_once(session, use, input, signature, &room)); }
};

// update(session, use, input, room?): length
struct Update : Part {
  void Read(Args& arg) {
    ReadUse(arg);
    arg.Bytes(2, "input", &input);
    arg.Room(3, "room", &room);
  }
  hsm_status Run() { return hsm_update(session, use, input, &room); }
};

// updateKey(session, key)
struct UpdateKey : Call {
  hsm_session session;
  hsm_key key;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    key = arg.Handle(1, "key");
  }
  hsm_status Run() { return hsm_update_key(session, key); }
};

// final(session, use, signature?, room?): length or -1
struct Final : Part {
  void Read(Args& arg) {
    ReadUse(arg);
    arg.BytesIfGiven(2, "signature", &signature);
    arg.Room(3, "room", &room);
  }
  hsm_status Run() { return Judge(hsm_final(session, use, signature, &room)); }
};

// cancel(session, use)
struct Cancel : Part {
  void Read(Args& arg) { ReadUse(arg); }
  hsm_status Run() { return hsm_cancel(session, use); }
};

// digestCopy(from, to)
struct DigestCopy : Call {
  hsm_session from, to;
  void Read(Args& arg) {
    from = arg.Handle(0, "from");
    to = arg.Handle(1, "to");
  }
  hsm_status Run() { return hsm_digest_copy(from, to); }
};

const Export kList[] = {
    NOW("begin", Begin), NOW("once", Once),   LATER("onceSlow", Once), NOW("update", Update), NOW("updateKey", UpdateKey),
    NOW("final", Final), LATER("finalSlow", Final), NOW("cancel", Cancel), NOW("digestCopy", DigestCopy),
};

}  // namespace

const Exports kStreamExports = {kList, std::size(kList)};
