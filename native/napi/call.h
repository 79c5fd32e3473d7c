// call.h - one core call as a value: what it takes, the call, its answer.
//
//   struct Sign {
//     void Read(Args& arg);              take the arguments
//     hsm_status Run();                  call the core once; no JavaScript
//     napi_value Answer(napi_env env);   after HSM_OK
//   };
//
// Now<Sign> runs it on the JavaScript thread. Later<Sign> copies what it reads
// into memory that is wiped, runs it on the queue, and writes results when it is
// back on the JavaScript thread; it answers a promise.
#ifndef STRONGROOM_NAPI_CALL_H
#define STRONGROOM_NAPI_CALL_H

#include <cstring>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <utility>

#include "args.h"
#include "queue.h"

// What calls have in common; each hides what it does otherwise.
struct Call {
  napi_value Answer(napi_env env) {
    napi_value undefined = nullptr;
    napi_get_undefined(env, &undefined);
    return undefined;
  }
  // Add to the error what the call alone knows.
  void Explain(napi_env, napi_value) {}
};

inline napi_value Number(napi_env env, double value) {
  napi_value number = nullptr;
  napi_create_double(env, value, &number);
  return number;
}

inline napi_value Length(napi_env env, size_t value) {
  napi_value number = nullptr;
  if (value > UINT32_MAX) return Number(env, static_cast<double>(value));
  napi_create_uint32(env, static_cast<uint32_t>(value), &number);
  return number;
}

inline napi_value Boolean(napi_env env, bool value) {
  napi_value boolean = nullptr;
  napi_get_boolean(env, value, &boolean);
  return boolean;
}

inline napi_value Handle(napi_env env, uint64_t value) { return Number(env, static_cast<double>(value)); }

inline napi_value Numbers(napi_env env, std::initializer_list<uint64_t> values) {
  napi_value array = nullptr;
  uint32_t at = 0;
  napi_create_array_with_length(env, values.size(), &array);
  for (uint64_t value : values) napi_set_element(env, array, at++, Handle(env, value));
  return array;
}

inline void SetNumber(napi_env env, napi_value object, const char* name, double value) {
  napi_set_named_property(env, object, name, Number(env, value));
}

inline void SetString(napi_env env, napi_value object, const char* name, const char* text, size_t len = NAPI_AUTO_LENGTH) {
  napi_value string = nullptr;
  napi_create_string_utf8(env, text == nullptr ? "" : text, len, &string);
  napi_set_named_property(env, object, name, string);
}

inline void SetFlag(napi_env env, napi_value object, const char* name, bool value) {
  napi_set_named_property(env, object, name, Boolean(env, value));
}

template <class C>
napi_value Now(napi_env env, napi_callback_info info) {
  Args arg(env, info);
  C call;
  call.Read(arg);
  if (arg.Refused()) return nullptr;
  hsm_status status = call.Run();
  if (status == HSM_OK) return call.Answer(env);
  napi_value error = arg.home().Error(status);
  if (error == nullptr) return nullptr;
  call.Explain(env, error);
  napi_throw(env, error);
  return nullptr;
}

// The room of a call that was moved to memory of its own.
class Luggage {
 public:
  ~Luggage();
  // Copy everything in and point the call at the copies.
  hsm_status Pack(napi_env env, std::vector<Moved> moved);
  // Write results into the views they were meant for; false: one is gone.
  bool Unpack(napi_env env);
  void Forget(napi_env env);                    // references, on the JavaScript thread

 private:
  struct Back { const uint8_t* from; size_t len; const size_t* written; napi_ref view; };
  std::vector<Back> back_;
  uint8_t* memory_ = nullptr;
};

template <class C>
class Journey final : public Work {
 public:
  explicit Journey(Env* home) : home_(home), power_(home->power()) {}

  C call;
  Luggage luggage;
  napi_deferred deferred = nullptr;

  void Run() override {
    status_ = call.Run();
    approved_ = hsm_approved();
  }

  void Deliver(napi_env env) override {
    hsm_approved_carry(approved_);
    if (status_ == HSM_OK && !luggage.Unpack(env)) {
      luggage.Forget(env);
      return Reject(env, Gone(env));
    }
    luggage.Forget(env);
    if (status_ == HSM_OK) {
      napi_resolve_deferred(env, deferred, call.Answer(env));
      return;
    }
    napi_value error = home_->Error(status_);
    if (error == nullptr) napi_get_and_clear_last_exception(env, &error);
    else call.Explain(env, error);
    Reject(env, error);
  }

 private:
  static napi_value Gone(napi_env env) {
    napi_value code = nullptr, text = nullptr, error = nullptr;
    napi_create_string_utf8(env, "ERR_INVALID_STATE", NAPI_AUTO_LENGTH, &code);
    napi_create_string_utf8(env, "the room for the result was detached meanwhile", NAPI_AUTO_LENGTH, &text);
    napi_create_type_error(env, code, text, &error);
    return error;
  }
  void Reject(napi_env env, napi_value error) { napi_reject_deferred(env, deferred, error); }

  Env* home_;
  std::shared_ptr<Power> power_;
  hsm_status status_ = HSM_E_STATE;
  bool approved_ = false;
};

template <class C>
napi_value Later(napi_env env, napi_callback_info info) {
  std::vector<Moved> moved;
  Args arg(env, info, &moved);
  auto journey = std::make_unique<Journey<C>>(&arg.home());
  journey->call.Read(arg);
  if (arg.Refused()) return nullptr;
  std::shared_ptr<Mailbox> mailbox = arg.home().mailbox();
  if (mailbox == nullptr) return nullptr;
  hsm_status status = journey->luggage.Pack(env, std::move(moved));
  if (status == HSM_OK && !QueueReady()) status = HSM_E_MEMORY;
  if (status != HSM_OK) {
    journey->luggage.Forget(env);
    arg.home().Throw(status);
    return nullptr;
  }
  napi_value promise = nullptr;
  napi_create_promise(env, &journey->deferred, &promise);
  QueueWork(std::move(mailbox), std::move(journey));
  return promise;
}

#define NOW(name, Call) { name, Now<Call> }
#define LATER(name, Call) { name, Later<Call> }

struct Export { const char* name; napi_callback call; };
struct Exports { const Export* list; size_t n; };

// One table a file.
extern const Exports kModuleExports, kRootExports, kTokenExports, kSessionExports, kCredentialExports, kObjectExports,
    kUseExports, kStreamExports, kKmsExports, kRecipientExports, kKeepExports, kBytesExports,
    kTokenFileExports;

#endif
