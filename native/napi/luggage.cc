#include "call.h"

namespace {

constexpr size_t kAlign = 16;
size_t Padded(size_t len) { return (len + kAlign - 1) & ~(kAlign - 1); }

}  // namespace

Luggage::~Luggage() {
  if (memory_ != nullptr) hsm_payload_free(memory_);       // wipes
}

hsm_status Luggage::Pack(napi_env env, std::vector<Moved> moved) {
  size_t total = 0;
  for (const Moved& m : moved) total += Padded(m.len);
  if (total == 0) return HSM_OK;
  memory_ = static_cast<uint8_t*>(hsm_payload_alloc(total));
  if (memory_ == nullptr) return HSM_E_MEMORY;
  uint8_t* at = memory_;
  for (const Moved& m : moved) {
    const void* from;
    std::memcpy(&from, m.pointer, sizeof from);
    if (m.room) {
      napi_ref view;
      if (napi_create_reference(env, m.view, 1, &view) != napi_ok) return HSM_E_MEMORY;
      back_.push_back({at, m.len, m.written, view});
    } else {
      std::memcpy(at, from, m.len);
    }
    std::memcpy(m.pointer, &at, sizeof at);
    at += Padded(m.len);
  }
  return HSM_OK;
}

bool Luggage::Unpack(napi_env env) {
  for (const Back& b : back_) {
    napi_value view, buffer;
    napi_typedarray_type type;
    size_t n = 0, offset = 0, len = b.written == nullptr ? b.len : *b.written;
    void* to = nullptr;
    if (napi_get_reference_value(env, b.view, &view) != napi_ok ||
        napi_get_typedarray_info(env, view, &type, &n, &to, &buffer, &offset) != napi_ok || n == 0)
      return false;
    // The view keeps its length for as long as its buffer is there.
    std::memcpy(to, b.from, len);
  }
  return true;
}

void Luggage::Forget(napi_env env) {
  for (const Back& b : back_) napi_delete_reference(env, b.view);
  back_.clear();
}
