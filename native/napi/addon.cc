// addon.cc - the Node door: one flat function for each call of hsm.h, under its
// name without `hsm_`, in camel case; `...Slow` is the same call on the queue.
// `tokenFile...` are the calls of token.h, on tokens and PINs that are held here.
// The list is fixed: test/hsm/exports.test.ts holds it.
#include "call.h"

namespace {

const Exports* const kRooms[] = {&kModuleExports, &kRootExports, &kTokenExports, &kSessionExports, &kCredentialExports,
                                 &kObjectExports, &kUseExports, &kStreamExports, &kKmsExports,
                                 &kRecipientExports, &kKeepExports, &kBytesExports,   &kTokenFileExports};

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  auto* home = new Env(env);
  napi_set_instance_data(env, home, [](napi_env, void* data, void*) { delete static_cast<Env*>(data); }, nullptr);
  napi_add_env_cleanup_hook(env, [](void* data) { static_cast<Env*>(data)->Shut(); }, home);
  for (const Exports* room : kRooms) {
    for (size_t i = 0; i < room->n; i++) {
      napi_value function;
      const Export& e = room->list[i];
      if (napi_create_function(env, e.name, NAPI_AUTO_LENGTH, e.call, home, &function) != napi_ok) return exports;
      napi_set_named_property(env, exports, e.name, function);
    }
  }
  return exports;
}

}  // namespace

NODE_API_MODULE(strongroom, Init)
