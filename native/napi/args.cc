#include "args.h"

#include <cstdio>
#include <cstring>

namespace {
// Zero bytes of room are room, not the question for the size (ptr NULL).
uint8_t nowhere[8];

constexpr double kHandleEnd = 9007199254740992.0;     // 2^53
}

void Args::Refuse(const char* name, const char* must_be) {
  if (refused_) return;
  refused_ = true;
  char text[160];
  std::snprintf(text, sizeof text, "%s must be %s", name, must_be);
  napi_throw_type_error(env_, "ERR_INVALID_ARG_TYPE", text);
}

bool Args::Absent(size_t i) const {
  if (i >= count_) return true;
  napi_valuetype type = napi_undefined;
  napi_typeof(env_, argv_[i], &type);
  return type == napi_undefined || type == napi_null;
}

uint64_t Args::Handle(size_t i, const char* name) {
  double value;
  if (refused_) return 0;
  if (napi_get_value_double(env_, argv_[i], &value) == napi_ok && value >= 0 && value < kHandleEnd) {
    auto whole = static_cast<uint64_t>(value);
    if (static_cast<double>(whole) == value) return whole;
  }
  Refuse(name, "an integer from 0 to 2^53 - 1");
  return 0;
}

uint32_t Args::Word(size_t i, const char* name) {
  double value;
  if (refused_) return 0;
  if (napi_get_value_double(env_, argv_[i], &value) == napi_ok && value >= 0 && value <= 4294967295.0) {
    auto whole = static_cast<uint32_t>(value);
    if (static_cast<double>(whole) == value) return whole;
  }
  Refuse(name, "an integer from 0 to 2^32 - 1");
  return 0;
}

bool Args::Flag(size_t i, const char* name) {
  bool value = false;
  if (refused_) return false;
  if (napi_get_value_bool(env_, argv_[i], &value) != napi_ok) Refuse(name, "a boolean");
  return value;
}

napi_value Args::Function(size_t i, const char* name) {
  napi_valuetype type = napi_undefined;
  if (refused_) return nullptr;
  napi_typeof(env_, argv_[i], &type);
  if (type == napi_function) return argv_[i];
  Refuse(name, "a function");
  return nullptr;
}

bool Args::View(size_t i, const char* name, napi_typedarray_type type, const char* must_be, void** bytes, size_t* n, bool or_absent) {
  napi_typedarray_type found = napi_int8_array;
  napi_value buffer = nullptr;
  size_t offset = 0;
  bool is = false;

  *bytes = nullptr;
  *n = 0;
  if (refused_) return false;
  if (napi_get_typedarray_info(env_, argv_[i], &found, n, bytes, &buffer, &offset) != napi_ok || found != type) {
    *n = 0;
    if (!or_absent || !Absent(i)) Refuse(name, must_be);
    return false;
  }
  // Memory that other threads write to cannot be read once: refused. The
  // buffer of such a view is no ArrayBuffer.
  if (napi_is_arraybuffer(env_, buffer, &is) != napi_ok || !is) {
    Refuse(name, "a view of an ArrayBuffer that is not shared");
    return false;
  }
  if (*n == 0) {
    is = true;
    if (napi_is_detached_arraybuffer(env_, buffer, &is) != napi_ok || is) {
      Refuse(name, "a view of an ArrayBuffer that is not detached");
      return false;
    }
  }
  if (home_->Resizable(buffer, static_cast<uint8_t*>(*bytes) - offset)) {
    Refuse(name, "a view of an ArrayBuffer that is not resizable");
    return false;
  }
  return true;
}

void Args::Bytes(size_t i, const char* name, hsm_in* to) {
  void* bytes;
  size_t n;
  *to = {nullptr, 0};
  if (!View(i, name, napi_uint8_array, "a Uint8Array", &bytes, &n)) return;
  if (n == 0) return;
  *to = {static_cast<const uint8_t*>(bytes), n};
  Take(&to->ptr, n);
}

void Args::BytesIfGiven(size_t i, const char* name, hsm_in* to) {
  *to = {nullptr, 0};
  if (!Absent(i)) Bytes(i, name, to);
}

void Args::Room(size_t i, const char* name, hsm_out* to) {
  if (i < count_) return RoomGiven(i, name, to, true);
  *to = {nullptr, 0, 0};
}

void Args::RoomGiven(size_t i, const char* name, hsm_out* to, bool or_absent) {
  void* bytes;
  size_t n;
  *to = {nullptr, 0, 0};
  if (!View(i, name, napi_uint8_array, "a Uint8Array", &bytes, &n, or_absent)) return;
  *to = {n == 0 ? nowhere : static_cast<uint8_t*>(bytes), n, 0};
  if (n != 0) Bring(i, &to->ptr, n, &to->len);
}

void Args::Words(size_t i, const char* name, const uint32_t** to, size_t* n) {
  void* bytes;
  *to = nullptr;
  if (!View(i, name, napi_uint32_array, "a Uint32Array", &bytes, n)) return;
  *to = static_cast<const uint32_t*>(bytes);
  if (*n != 0) Take(to, *n * sizeof **to);
}

void Args::Numbers(size_t i, const char* name, uint32_t (&to)[12]) {
  void* bytes;
  size_t n;
  if (!View(i, name, napi_uint32_array, "a Uint32Array", &bytes, &n)) return;
  if (n != 12) return Refuse(name, "a Uint32Array of 12");
  std::memcpy(to, bytes, sizeof to);
}

void Args::WordRoom(size_t i, const char* name, uint32_t** to, size_t* n) {
  void* bytes;
  *to = nullptr;
  if (!View(i, name, napi_uint32_array, "a Uint32Array", &bytes, n)) return;
  *to = static_cast<uint32_t*>(bytes);
  if (*n != 0) Bring(i, to, *n * sizeof **to, nullptr);
}

void Args::DoubleRoom(size_t i, const char* name, double** to, size_t* n) {
  void* bytes;
  *to = nullptr;
  if (!View(i, name, napi_float64_array, "a Float64Array", &bytes, n)) return;
  *to = static_cast<double*>(bytes);
  if (*n != 0) Bring(i, to, *n * sizeof **to, nullptr);
}

void* Args::Payload(size_t i, const char* name) {
  void* base = nullptr;
  size_t n = 0;
  bool is = false;
  if (refused_) return nullptr;
  if (napi_is_arraybuffer(env_, argv_[i], &is) == napi_ok && is && napi_check_object_type_tag(env_, argv_[i], &kPayloadTag, &is) == napi_ok && is &&
      napi_get_arraybuffer_info(env_, argv_[i], &base, &n) == napi_ok && n != 0 && home_->IsPayload(base))
    return base;
  Refuse(name, "an ArrayBuffer made by payloadAlloc and not freed");
  return nullptr;
}

size_t Args::Text(size_t i, const char* name, char* room, size_t cap) {
  size_t len = 0;
  room[0] = '\0';
  if (refused_) return 0;
  // Too long is cut at a character: at most three bytes short of the room.
  if (napi_get_value_string_utf8(env_, argv_[i], room, cap, &len) != napi_ok || len + 4 >= cap) {
    char must_be[64];
    std::snprintf(must_be, sizeof must_be, "a string of at most %zu bytes", cap - 5);
    Refuse(name, must_be);
    return 0;
  }
  return len;
}

void Args::TextWithoutNul(size_t i, const char* name, char* room, size_t cap) {
  size_t len = Text(i, name, room, cap);
  if (std::memchr(room, '\0', len) != nullptr) Refuse(name, "a string without NUL");
}

// The iv is the core's to make and lies before the ciphertext.
const hsm_params Params::kUsual = [] {
  hsm_params usual{};
  usual.flags = HSM_PARAM_IV_MADE;
  return usual;
}();

void Params::Read(Args& arg, size_t first) {
  uint32_t w[12];
  given_ = arg.given() > first;
  if (!given_) return;
  value_ = kUsual;
  if (!arg.Absent(first)) {
    arg.Numbers(first, "numbers", w);
    if (!arg.Refused() && (w[0] > HSM_SHAKE256 || w[1] > HSM_SHAKE256)) arg.Refuse("hash", "the number of a hash");
    if (arg.Refused()) return;
    value_.hash = static_cast<hsm_hash>(w[0]);
    value_.mgf = static_cast<hsm_hash>(w[1]);
    value_.salt_len = w[2];
    value_.tag_bits = w[3];
    value_.counter_bits = w[4];
    value_.iterations = w[5];
    value_.flags = w[6];
    value_.wrap_bits = w[7];
    value_.data_len = static_cast<uint64_t>(w[9]) << 32 | w[8];
    value_.spec = {w[10], w[11]};
  }
  arg.BytesIfGiven(first + 1, "iv", &value_.iv);
  if (value_.iv.len != 0 && arg.Absent(first)) value_.flags = 0;
  arg.BytesIfGiven(first + 2, "aad", &value_.aad);
  arg.BytesIfGiven(first + 3, "label", &value_.label);
  arg.BytesIfGiven(first + 4, "salt", &value_.salt);
  arg.BytesIfGiven(first + 5, "peer", &value_.peer);
  arg.BytesIfGiven(first + 6, "data", &value_.data);
}

void Attrs::Read(Args& arg, size_t i, const char* name) { arg.BytesIfGiven(i, name, &packed_); }

hsm_status Attrs::Unpack() {
  struct reader r;
  reader_init(&r, packed_);
  for (n_ = 0; reader_left(&r) != 0 && !r.failed; n_++) {
    if (n_ == kMax) return HSM_E_LIMIT;
    list_[n_].type = reader_u32(&r);
    uint32_t len = reader_u32(&r);
    list_[n_].value = reader_take(&r, len);
    reader_take(&r, (8 - len % 8) % 8);
  }
  return reader_done(&r) ? HSM_OK : HSM_E_TEMPLATE;
}
