// module.cc - the module's life: power, self-tests, status, mechanisms.
#include <cmath>

#include "call.h"

namespace {

// open(ErrorClass, arenaSize, approvedOnly)
struct Open : Call {
  Env* home;
  napi_value error_class;
  hsm_config config{};
  void Read(Args& arg) {
    home = &arg.home();
    error_class = arg.Function(0, "ErrorClass");
    config.arena_size = static_cast<size_t>(arg.Count(1, "arenaSize"));
    config.approved_only = arg.Flag(2, "approvedOnly");
  }
  hsm_status Run() {
    home->ErrorClass(error_class);
    return hsm_open(&config);
  }
  napi_value Answer(napi_env env) {
    home->PowerOn();
    return Call::Answer(env);
  }
};

// close(): was it open?
struct Close : Call {
  Env* home;
  bool was;
  void Read(Args& arg) { home = &arg.home(); }
  hsm_status Run() {
    was = home->PowerOff();
    return HSM_OK;
  }
  napi_value Answer(napi_env env) { return Boolean(env, was); }
};

const char* ModeName(hsm_mode mode) { return mode == HSM_MODE_LAB ? "lab" : mode == HSM_MODE_DEV ? "dev" : "production"; }

struct Describe : Call {
  hsm_info info{};
  void Read(Args&) {}
  hsm_status Run() { return hsm_describe(&info); }
  napi_value Answer(napi_env env) {
    napi_value o;
    napi_create_object(env, &o);
    SetString(env, o, "version", info.version);
    SetString(env, o, "state", info.state);
    SetString(env, o, "why", info.why);
    SetString(env, o, "arenaKind", info.arena_kind);
    SetString(env, o, "arenaReason", info.arena_reason);
    SetFlag(env, o, "weakened", info.weakened);
    SetNumber(env, o, "arenaSize", static_cast<double>(info.arena_size));
    SetNumber(env, o, "arenaUsed", static_cast<double>(info.arena_used));
    SetNumber(env, o, "arenaHigh", static_cast<double>(info.arena_high));
    SetNumber(env, o, "lockLimit", info.lock_limit == UINT64_MAX ? HUGE_VAL : static_cast<double>(info.lock_limit));
    SetNumber(env, o, "sessions", static_cast<double>(info.sessions));
    SetNumber(env, o, "objects", static_cast<double>(info.objects));
    SetNumber(env, o, "loaded", static_cast<double>(info.loaded));
    SetString(env, o, "library", info.library);
    SetString(env, o, "mode", ModeName(info.mode));
    SetFlag(env, o, "unsealed", info.unsealed);
    SetFlag(env, o, "approvedOnly", info.approved_only);
    SetString(env, o, "unseal", info.unseal);
    return o;
  }
};

// selfTest(name?): the first that failed, or undefined
struct SelfTest : Call {
  char name[69];
  bool all;
  const char* failed = nullptr;
  void Read(Args& arg) {
    all = arg.Absent(0);
    if (!all) arg.CString(0, "name", name);
  }
  hsm_status Run() {
    hsm_status status = hsm_self_test(all ? nullptr : name, &failed);
    return failed != nullptr ? HSM_OK : status;
  }
  napi_value Answer(napi_env env) {
    napi_value string;
    if (failed == nullptr) return Call::Answer(env);
    napi_create_string_utf8(env, failed, NAPI_AUTO_LENGTH, &string);
    return string;
  }
};

// selfTestAt(i): a name, or undefined past the end
struct SelfTestAt : Call {
  uint32_t at;
  void Read(Args& arg) { at = arg.Word(0, "index"); }
  hsm_status Run() { return HSM_OK; }
  napi_value Answer(napi_env env) {
    napi_value string;
    const char* name = hsm_self_test_at(at);
    if (name == nullptr) return Call::Answer(env);
    napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &string);
    return string;
  }
};

struct Zeroise : Call {
  char why[125];
  void Read(Args& arg) { arg.CString(0, "why", why); }
  hsm_status Run() { return hsm_zeroise(why); }
};

napi_value Described(napi_env env, const hsm_mech_info& info) {
  napi_value o;
  napi_create_object(env, &o);
  SetNumber(env, o, "id", static_cast<double>(info.id));
  SetString(env, o, "name", info.name);
  SetNumber(env, o, "keyType", info.key_type);
  SetNumber(env, o, "minBits", info.min_bits);
  SetNumber(env, o, "maxBits", info.max_bits);
  SetNumber(env, o, "flags", info.flags);
  return o;
}

// mechAt(i): a mechanism, or undefined past the end
struct MechAt : Call {
  uint32_t at;
  bool end = false;
  hsm_mech_info info{};
  void Read(Args& arg) { at = arg.Word(0, "index"); }
  hsm_status Run() {
    hsm_status status = hsm_mech_at(at, &info);
    end = status == HSM_E_MECH;
    return end ? HSM_OK : status;
  }
  napi_value Answer(napi_env env) { return end ? Call::Answer(env) : Described(env, info); }
};

struct MechDescribe : Call {
  hsm_mech id;
  hsm_mech_info info{};
  void Read(Args& arg) { id = arg.Word(0, "mech"); }
  hsm_status Run() { return hsm_mech_describe(id, &info); }
  napi_value Answer(napi_env env) { return Described(env, info); }
};

#ifdef STRONGROOM_LAB
// lab(setting): docs/laboratory.md
struct Lab : Call {
  char setting[255];
  void Read(Args& arg) { arg.CString(0, "setting", setting); }
  hsm_status Run() { return hsm_lab(setting); }
};

// labNoise(source, room): length
struct LabNoise : Call {
  uint32_t source;
  hsm_out noise;
  void Read(Args& arg) {
    source = arg.Word(0, "source");
    arg.RoomGiven(1, "noise", &noise);
  }
  hsm_status Run() { return hsm_lab_noise(source, &noise); }
  napi_value Answer(napi_env env) { return Length(env, noise.len); }
};
#endif

const Export kList[] = {
#ifdef STRONGROOM_LAB
    NOW("lab", Lab),             NOW("labNoise", LabNoise),
#endif
    NOW("open", Open),           NOW("close", Close),           NOW("describe", Describe),
    NOW("selfTest", SelfTest),   LATER("selfTestSlow", SelfTest), NOW("selfTestAt", SelfTestAt),
    NOW("zeroise", Zeroise),     NOW("mechAt", MechAt),         NOW("mechDescribe", MechDescribe),
};

}  // namespace

const Exports kModuleExports = {kList, std::size(kList)};
