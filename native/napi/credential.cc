// credential.cc - access keys, and SigV4 verified on their handles.
#include "call.h"

namespace {

// credentialCreate(service, partition, id, principal, expiresMs, source, from, shown?, sealed):
// [key, length of sealed, length of shown]. Without `shown` the secret stays inside.
struct CredentialCreate : Call {
  hsm_session service;
  hsm_part part;
  char id_room[133], principal_room[2053], from[4101];
  hsm_in id, principal;
  uint64_t expires_ms;
  hsm_secret_source source;
  hsm_out shown, sealed;
  hsm_key key = 0;
  void Read(Args& arg) {
    service = arg.Handle(0, "service");
    part = arg.Handle(1, "partition");
    arg.String(2, "id", id_room, &id);
    arg.String(3, "principal", principal_room, &principal);
    expires_ms = arg.Count(4, "expiresMs");
    uint32_t number = arg.Word(5, "source");
    if (number > HSM_SECRET_MADE_LONG) arg.Refuse("source", "0 (made), 1 (environment), 2 (file) or 3 (made, long)");
    source = number > HSM_SECRET_MADE_LONG ? HSM_SECRET_MADE : static_cast<hsm_secret_source>(number);
    arg.CString(6, "from", from);
    arg.Room(7, "shown", &shown);
    arg.RoomGiven(8, "sealed", &sealed);
  }
  hsm_status Run() {
    return hsm_credential_create(service, part, id, principal, expires_ms, source,
                                 source == HSM_SECRET_ENV || source == HSM_SECRET_FILE ? from : nullptr,
                                 shown.ptr == nullptr ? nullptr : &shown, &sealed, &key);
  }
  napi_value Answer(napi_env env) { return Numbers(env, {key, sealed.len, shown.len}); }
};

// credentialWrite(service, key, path, profile)
struct CredentialWrite : Call {
  hsm_session service;
  hsm_key key;
  char path[4101], profile[133];
  void Read(Args& arg) {
    service = arg.Handle(0, "service");
    key = arg.Handle(1, "key");
    arg.CString(2, "path", path);
    arg.CString(3, "profile", profile);
  }
  hsm_status Run() { return hsm_credential_write(service, key, path, profile); }
};

// credentialOpen(service, partition, id, sealed): key
struct CredentialOpen : Call {
  hsm_session service;
  hsm_part part;
  char id_room[133];
  hsm_in id, sealed;
  hsm_key key = 0;
  void Read(Args& arg) {
    service = arg.Handle(0, "service");
    part = arg.Handle(1, "partition");
    arg.String(2, "id", id_room, &id);
    arg.Bytes(3, "sealed", &sealed);
  }
  hsm_status Run() { return hsm_credential_open(service, part, id, sealed, &key); }
  napi_value Answer(napi_env env) { return Handle(env, key); }
};

// credentialClose(service, key)
struct CredentialClose : Call {
  hsm_session service;
  hsm_key key;
  void Read(Args& arg) {
    service = arg.Handle(0, "service");
    key = arg.Handle(1, "key");
  }
  hsm_status Run() { return hsm_credential_close(service, key); }
};

// sigv4Verify(credential, date, region, service, timestamp, canonical, payloadHash, body, signature, nowMs,
//             allowUnsignedPayload): session
struct Sigv4Verify : Call {
  hsm_key credential;
  hsm_sigv4 request{};
  char date[37], region[133], service[133], timestamp[69], hash[133], signature[133];
  hsm_session session = 0;
  void Read(Args& arg) {
    credential = arg.Handle(0, "credential");
    arg.String(1, "date", date, &request.date);
    arg.String(2, "region", region, &request.region);
    arg.String(3, "service", service, &request.service);
    arg.String(4, "timestamp", timestamp, &request.timestamp);
    arg.Bytes(5, "canonical", &request.canonical);
    arg.String(6, "payloadHash", hash, &request.payload_hash);
    arg.Bytes(7, "body", &request.body);
    arg.String(8, "signature", signature, &request.signature);
    request.now_ms = arg.Count(9, "nowMs");
    request.allow_unsigned_payload = arg.Flag(10, "allowUnsignedPayload");
  }
  hsm_status Run() { return hsm_sigv4_verify(credential, &request, &session); }
  napi_value Answer(napi_env env) { return Handle(env, session); }
};

const Export kList[] = {
    NOW("credentialCreate", CredentialCreate), NOW("credentialWrite", CredentialWrite), NOW("credentialOpen", CredentialOpen),
    NOW("credentialClose", CredentialClose),   NOW("sigv4Verify", Sigv4Verify),
};

}  // namespace

const Exports kCredentialExports = {kList, std::size(kList)};
