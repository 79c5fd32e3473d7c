// args.h - reading the arguments of one call.
//
// Arguments are numbers, booleans, strings and byte views, each in its place;
// there are no option objects. So reading one never runs JavaScript, and a view
// that was read first is still whole when the last one has been read.
//
// The first wrong argument sticks: every later read answers zeroes, and the
// caller asks once (Refused), when a TypeError that names it is pending.
#ifndef STRONGROOM_NAPI_ARGS_H
#define STRONGROOM_NAPI_ARGS_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "env.h"

// A view that slow work takes along: copied before the call is queued, where it
// is room for a result copied back when it is done.
struct Moved {
  void* pointer;                 // address of the `T*` that names the bytes
  size_t len;                    // bytes
  const size_t* written;         // room: how much was written; NULL: all of it
  napi_value view;               // room: the typed array
  bool room;
};

class Args {
 public:
  static constexpr size_t kMax = 16;

  Args(napi_env env, napi_callback_info info, std::vector<Moved>* moved = nullptr) : env_(env), moved_(moved) {
    count_ = kMax;
    void* data = nullptr;
    napi_get_cb_info(env, info, &count_, argv_, nullptr, &data);
    home_ = static_cast<Env*>(data);
  }

  Env& home() const { return *home_; }
  bool Refused() const { return refused_; }
  size_t given() const { return count_; }
  // Refuse argument `name`: "name must be ...".
  void Refuse(const char* name, const char* must_be);
  napi_value operator[](size_t i) const { return argv_[i]; }
  // Not given: absent, undefined or null.
  bool Absent(size_t i) const;

  uint64_t Handle(size_t i, const char* name);      // 0 .. 2^53 - 1
  uint32_t Word(size_t i, const char* name);        // 0 .. 2^32 - 1
  uint64_t Count(size_t i, const char* name) { return Handle(i, name); }
  bool Flag(size_t i, const char* name);
  napi_value Function(size_t i, const char* name);

  // Whole bytes of a Uint8Array (a Buffer is one).
  void Bytes(size_t i, const char* name, hsm_in* to);
  void BytesIfGiven(size_t i, const char* name, hsm_in* to);
  // Room for a result. Absent: the size is asked for (ptr NULL).
  void Room(size_t i, const char* name, hsm_out* to);
  // Room that must be there.
  void RoomGiven(size_t i, const char* name, hsm_out* to, bool or_absent = false);
  // Uint32Array and Float64Array, in and out.
  void Words(size_t i, const char* name, const uint32_t** to, size_t* n);
  void WordRoom(size_t i, const char* name, uint32_t** to, size_t* n);
  void DoubleRoom(size_t i, const char* name, double** to, size_t* n);
  void Numbers(size_t i, const char* name, uint32_t (&to)[12]);
  // An ArrayBuffer that payloadAlloc made.
  void* Payload(size_t i, const char* name);

  // At most N bytes of UTF-8 into `room`. CString refuses a NUL inside.
  template <size_t N>
  void String(size_t i, const char* name, char (&room)[N], hsm_in* to) {
    to->ptr = reinterpret_cast<const uint8_t*>(room);
    to->len = Text(i, name, room, N);
  }
  template <size_t N>
  void CString(size_t i, const char* name, char (&room)[N]) {
    TextWithoutNul(i, name, room, N);
  }

 private:
  bool View(size_t i, const char* name, napi_typedarray_type type, const char* must_be, void** bytes, size_t* n, bool or_absent = false);
  size_t Text(size_t i, const char* name, char* room, size_t cap);
  void TextWithoutNul(size_t i, const char* name, char* room, size_t cap);
  void Take(void* pointer, size_t len) {
    if (moved_ != nullptr) moved_->push_back({pointer, len, nullptr, nullptr, false});
  }
  void Bring(size_t i, void* pointer, size_t len, const size_t* written) {
    if (moved_ != nullptr) moved_->push_back({pointer, len, written, argv_[i], true});
  }

  napi_env env_;
  Env* home_;
  std::vector<Moved>* moved_;
  size_t count_;
  bool refused_ = false;
  napi_value argv_[kMax];
};

// A mechanism's parameters: seven places from `first` on.
//   numbers  Uint32Array(12): hash, mgf, saltLength, tagBits, counterBits, iterations, flags, wrapBits,
//            dataLength (low, high), spec.type, spec.param
//   iv, aad, label, salt, peer, data   bytes
// Without numbers the flags are none where an iv is given, else HSM_PARAM_IV_MADE.
class Params {
 public:
  static constexpr size_t kPlaces = 7;
  void Read(Args& arg, size_t first);
  const hsm_params* get() const { return given_ ? &value_ : &kUsual; }

 private:
  static const hsm_params kUsual;
  bool given_;
  hsm_params value_;
};

// Attributes: one packed view of (u32 CKA_ type, u32 length, value padded to 8
// bytes), big-endian; numbers are 8 bytes, native, flags one.
class Attrs {
 public:
  void Read(Args& arg, size_t i, const char* name);
  // Once the bytes lie where they stay. HSM_E_TEMPLATE: not of that form.
  hsm_status Unpack();
  const hsm_attr* get() const { return list_; }
  size_t size() const { return n_; }

 private:
  static constexpr size_t kMax = 96;
  hsm_in packed_{};
  hsm_attr list_[kMax];
  size_t n_ = 0;
};

#endif
