// bytes.cc - payload buffers, JSON without its blobs, base64, public hashes.
#include "call.h"

namespace {

// payloadAlloc(length): an ArrayBuffer of at least 4 KiB that only the core
// writes and wipes. Whatever becomes of it, its memory is wiped at the end.
struct PayloadAlloc : Call {
  Env* home;
  size_t len;
  void* base = nullptr;
  void Read(Args& arg) {
    home = &arg.home();
    len = arg.Word(0, "length");
  }
  hsm_status Run() {
    if (len < HSM_PAYLOAD_MIN) len = HSM_PAYLOAD_MIN;
    base = hsm_payload_alloc(len);
    return base == nullptr ? HSM_E_MEMORY : HSM_OK;
  }
  napi_value Answer(napi_env env) {
    napi_value buffer = nullptr;
    home->PayloadMade(base);
    if (napi_create_external_arraybuffer(env, base, len, Gone, home, &buffer) != napi_ok) {
      Gone(env, base, home);
      home->Throw(HSM_E_MEMORY);
      return nullptr;
    }
    napi_type_tag_object(env, buffer, &kPayloadTag);
    return buffer;
  }
  static void Gone(napi_env, void* base, void* home) {
    static_cast<Env*>(home)->PayloadGone(base);
    hsm_payload_free(base);
  }
};

// payloadFree(buffer): wiped now, the buffer detached
struct PayloadFree : Call {
  napi_value buffer;
  void* base;
  void Read(Args& arg) {
    base = arg.Payload(0, "buffer");
    buffer = arg[0];
  }
  hsm_status Run() { return HSM_OK; }
  napi_value Answer(napi_env env) {
    size_t len = 0;
    napi_get_arraybuffer_info(env, buffer, &base, &len);
    hsm_payload_wipe(base, len);
    napi_detach_arraybuffer(env, buffer);
    return Call::Answer(env);
  }
};

// payloadWipe(bytes): any bytes, not only payload
struct PayloadWipe : Call {
  hsm_out bytes;
  void Read(Args& arg) { arg.RoomGiven(0, "bytes", &bytes); }
  hsm_status Run() {
    if (bytes.cap != 0) hsm_payload_wipe(bytes.ptr, bytes.cap);
    return HSM_OK;
  }
};

// jsonCut(body, names, json, blobs, spans): how many spans. spans: length of json, length of blobs, then
// (offset, length) for each. The error of bad base64 says in `where` which member it was.
struct JsonCut : Call {
  hsm_in body, names;
  hsm_out json, blobs;
  uint32_t* spans = nullptr;
  size_t cap = 0, count = 0;
  char where[64] = "";
  void Read(Args& arg) {
    arg.Bytes(0, "body", &body);
    arg.Bytes(1, "names", &names);
    arg.RoomGiven(2, "json", &json);
    arg.RoomGiven(3, "blobs", &blobs);
    arg.WordRoom(4, "spans", &spans, &cap);
    if (!arg.Refused() && cap < 2) arg.Refuse("spans", "room for two lengths and the spans");
  }
  hsm_status Run() {
    static_assert(sizeof(hsm_span) == 2 * sizeof(uint32_t));
    count = (cap - 2) / 2;
    hsm_status status = hsm_json_cut(body, names, &json, &blobs, reinterpret_cast<hsm_span*>(spans + 2), &count, where);
    if (status != HSM_OK) return status;
    spans[0] = static_cast<uint32_t>(json.len);
    spans[1] = static_cast<uint32_t>(blobs.len);
    return HSM_OK;
  }
  napi_value Answer(napi_env env) { return Length(env, count); }
  void Explain(napi_env env, napi_value error) {
    where[sizeof where - 1] = '\0';
    SetString(env, error, "where", where);
  }
};

// base64(bytes, text?): length
struct Base64 : Call {
  hsm_in bytes;
  hsm_out text;
  void Read(Args& arg) {
    arg.Bytes(0, "bytes", &bytes);
    arg.Room(1, "text", &text);
  }
  hsm_status Run() { return hsm_base64(bytes, &text); }
  napi_value Answer(napi_env env) { return Length(env, text.len); }
};

// sha256(bytes, digest): length
struct Sha256 : Call {
  hsm_in bytes;
  hsm_out digest;
  void Read(Args& arg) {
    arg.Bytes(0, "bytes", &bytes);
    arg.RoomGiven(1, "digest", &digest);
    if (!arg.Refused() && digest.cap < 32) arg.Refuse("digest", "room for 32 bytes");
  }
  hsm_status Run() {
    hsm_status status = hsm_sha256(bytes, digest.ptr);
    digest.len = status == HSM_OK ? 32 : 0;
    return status;
  }
  napi_value Answer(napi_env env) { return Length(env, digest.len); }
};

const Export kList[] = {
    NOW("payloadAlloc", PayloadAlloc), NOW("payloadFree", PayloadFree), NOW("payloadWipe", PayloadWipe),
    NOW("jsonCut", JsonCut),           NOW("base64", Base64),           NOW("sha256", Sha256),
};

}  // namespace

const Exports kBytesExports = {kList, std::size(kList)};
