// session.cc - sessions and roles.
#include "call.h"

namespace {

struct SessionService : Call {
  hsm_session session = 0;
  void Read(Args&) {}
  hsm_status Run() { return hsm_session_service(&session); }
  napi_value Answer(napi_env env) { return Handle(env, session); }
};

// sessionOpen(partition, flags): session
struct SessionOpen : Call {
  hsm_part part;
  uint32_t flags;
  hsm_session session = 0;
  void Read(Args& arg) {
    part = arg.Handle(0, "partition");
    flags = arg.Word(1, "flags");
    if (!arg.Refused() && (flags & ~HSM_SESSION_RW) != 0) arg.Refuse("flags", "0 or 1 (read-write)");
  }
  hsm_status Run() { return hsm_session_open(part, flags, &session); }
  napi_value Answer(napi_env env) { return Handle(env, session); }
};

struct SessionClose : Call {
  hsm_session session;
  void Read(Args& arg) { session = arg.Handle(0, "session"); }
  hsm_status Run() { return hsm_session_close(session); }
};

// sessionRole(session): number of the role
struct SessionRole : Call {
  hsm_session session;
  hsm_role role = HSM_ROLE_PUBLIC;
  void Read(Args& arg) { session = arg.Handle(0, "session"); }
  hsm_status Run() { return hsm_session_role(session, &role); }
  napi_value Answer(napi_env env) { return Number(env, role); }
};

hsm_role Role(Args& arg, size_t i) {
  uint32_t role = arg.Word(i, "role");
  if (role > HSM_ROLE_SERVICE) arg.Refuse("role", "the number of a role");
  return arg.Refused() ? HSM_ROLE_PUBLIC : static_cast<hsm_role>(role);
}

// login(session, role, pin)
struct Login : Call {
  hsm_session session;
  hsm_role role;
  hsm_in pin;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    role = Role(arg, 1);
    arg.Bytes(2, "pin", &pin);
  }
  hsm_status Run() { return hsm_login(session, role, pin); }
};

struct Logout : Call {
  hsm_session session;
  void Read(Args& arg) { session = arg.Handle(0, "session"); }
  hsm_status Run() { return hsm_logout(session); }
};

// pinSet(session, role, pin)
struct PinSet : Login {
  hsm_status Run() { return hsm_pin_set(session, role, pin); }
};

// pinCheck(session, pin)
struct PinCheck : Call {
  hsm_session session;
  hsm_in pin;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    arg.Bytes(1, "pin", &pin);
  }
  hsm_status Run() { return hsm_pin_check(session, pin); }
};

const Export kList[] = {
    NOW("sessionService", SessionService), NOW("sessionOpen", SessionOpen), NOW("sessionClose", SessionClose),
    NOW("sessionRole", SessionRole),       NOW("login", Login),             LATER("loginSlow", Login),
    NOW("logout", Logout),                 NOW("pinSet", PinSet),           LATER("pinSetSlow", PinSet),
    NOW("pinCheck", PinCheck),             LATER("pinCheckSlow", PinCheck),
};

}  // namespace

const Exports kSessionExports = {kList, std::size(kList)};
