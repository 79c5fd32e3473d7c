// env.h - what the addon keeps for one JavaScript environment (the main thread
// or a worker): the class of its errors, its share of the core's life, the
// payload buffers it made, its mailbox for slow work. Freed with the environment.
#ifndef STRONGROOM_NAPI_ENV_H
#define STRONGROOM_NAPI_ENV_H

#include <napi.h>

#include <map>
#include <memory>
#include <unordered_set>
#include <vector>

#include "core.h"

class Mailbox;

// Marks the ArrayBuffers that payloadAlloc made.
inline constexpr napi_type_tag kPayloadTag = {0x7374726f6e67726fULL, 0x6f6d2f7061796c64ULL};

// One counted hsm_open. Slow work in flight shares it: the core is closed after
// the last of them, never under one.
class Power {
 public:
  Power() = default;
  ~Power() { hsm_close(); }
  Power(const Power&) = delete;
  Power& operator=(const Power&) = delete;
};

// Kept for JavaScript by a number: an attached token, a PIN that was read. Slow
// work in flight shares it, and with it the core's life.
class Held {
 public:
  explicit Held(std::shared_ptr<Power> power) : power_(std::move(power)) {}
  virtual ~Held() = default;
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  std::shared_ptr<Power> power_;           // goes last
};

class Env {
 public:
  explicit Env(napi_env env);
  ~Env();
  Env(const Env&) = delete;
  Env& operator=(const Env&) = delete;

  napi_env raw() const { return env_; }

  // The class of the errors for failed calls: new Class(code, message).
  void ErrorClass(napi_value constructor);
  napi_value Error(hsm_status status);     // NULL: an exception is pending instead
  void Throw(hsm_status status);

  void PowerOn() { power_.push_back(std::make_shared<Power>()); }
  bool PowerOff();                         // false: was not on
  std::shared_ptr<Power> power() const { return power_.empty() ? nullptr : power_.back(); }

  // Is the ArrayBuffer resizable? Asked only of those that may be: base is
  // where its bytes begin.
  bool Resizable(napi_value buffer, const void* base);

  // ArrayBuffers the core allocated, by their address.
  void PayloadMade(void* base) { payloads_.insert(base); }
  void PayloadGone(void* base) { payloads_.erase(base); }
  bool IsPayload(const void* base) const { return payloads_.count(const_cast<void*>(base)) != 0; }

  // Things held, by numbers that are never given twice.
  uint64_t Hold(std::shared_ptr<Held> held) {
    held_.emplace(++last_held_, std::move(held));
    return last_held_;
  }
  template <class T>
  std::shared_ptr<T> Find(uint64_t number) const {
    auto it = held_.find(number);
    return it == held_.end() ? nullptr : std::dynamic_pointer_cast<T>(it->second);
  }
  void Drop(uint64_t number) { held_.erase(number); }

  // Made at the first slow call. NULL: an exception is pending.
  std::shared_ptr<Mailbox> mailbox();
  // The environment goes: its share of the core's life ends.
  void Shut();

 private:
  napi_env env_;
  napi_ref error_class_ = nullptr;
  napi_ref resizable_ = nullptr;           // the getter of ArrayBuffer.prototype, as it was at load
  std::vector<std::shared_ptr<Power>> power_;
  std::unordered_set<void*> payloads_;
  std::map<uint64_t, std::shared_ptr<Held>> held_;
  uint64_t last_held_ = 0;
  std::shared_ptr<Mailbox> mailbox_;
};

#endif
