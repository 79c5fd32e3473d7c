#include "env.h"

#include "queue.h"

Env::Env(napi_env env) : env_(env) {
  // The getter as it is now: what a program puts in its place later is not asked.
  Napi::Env napi(env);
  Napi::Object object = napi.Global().Get("Object").As<Napi::Object>();
  Napi::Value prototype = napi.Global().Get("ArrayBuffer").As<Napi::Object>().Get("prototype");
  Napi::Value described = object.Get("getOwnPropertyDescriptor").As<Napi::Function>().Call(object, {prototype, Napi::String::New(napi, "resizable")});
  if (!described.IsObject()) return;       // an engine without resizable buffers
  Napi::Value getter = described.As<Napi::Object>().Get("get");
  if (getter.IsFunction()) napi_create_reference(env, getter, 1, &resizable_);
}

// References die with the environment.
Env::~Env() = default;

void Env::ErrorClass(napi_value constructor) {
  if (error_class_ != nullptr) napi_delete_reference(env_, error_class_);
  error_class_ = nullptr;
  napi_create_reference(env_, constructor, 1, &error_class_);
}

napi_value Env::Error(hsm_status status) {
  napi_value argv[2], constructor = nullptr, error = nullptr;
  napi_create_string_utf8(env_, hsm_status_name(status), NAPI_AUTO_LENGTH, &argv[0]);
  napi_create_string_utf8(env_, hsm_status_text(status), NAPI_AUTO_LENGTH, &argv[1]);
  if (error_class_ == nullptr) {
    napi_create_error(env_, argv[0], argv[1], &error);
    return error;
  }
  napi_get_reference_value(env_, error_class_, &constructor);
  if (napi_new_instance(env_, constructor, 2, argv, &error) != napi_ok) return nullptr;
  return error;
}

void Env::Throw(hsm_status status) {
  napi_value error = Error(status);
  if (error != nullptr) napi_throw(env_, error);
}

bool Env::PowerOff() {
  if (power_.empty()) return false;
  power_.pop_back();
  return true;
}

bool Env::Resizable(napi_value buffer, const void* base) {
  // A resizable buffer's memory begins at a page, as only those of the
  // allocator for big blocks do; ours do too and are known.
  if ((reinterpret_cast<uintptr_t>(base) & 4095u) != 0 || resizable_ == nullptr || IsPayload(base)) return false;
  napi_value getter, answer;
  bool resizable = false;
  if (napi_get_reference_value(env_, resizable_, &getter) != napi_ok) return true;
  if (napi_call_function(env_, buffer, getter, 0, nullptr, &answer) != napi_ok) return true;
  return napi_get_value_bool(env_, answer, &resizable) != napi_ok || resizable;
}

std::shared_ptr<Mailbox> Env::mailbox() {
  if (mailbox_ != nullptr) return mailbox_;
  mailbox_ = Mailbox::Open(env_);
  // Hooks run last in, first out: the box is shut before Node takes down the
  // threadsafe function in it.
  if (mailbox_ != nullptr) napi_add_env_cleanup_hook(env_, [](void* box) { static_cast<Mailbox*>(box)->Shut(); }, mailbox_.get());
  return mailbox_;
}

void Env::Shut() {
  held_.clear();
  power_.clear();
}
