// token.cc - partitions opened by PIN.
#include <cstring>

#include "call.h"

namespace {

using Path = char[4101];

// tokenCreate(device, soPin, strict, header): [partition, length]
struct TokenCreate : Call {
  Path device;
  hsm_in pin;
  bool strict;
  hsm_out header;
  hsm_part part = 0;
  void Read(Args& arg) {
    arg.CString(0, "device", device);
    arg.Bytes(1, "soPin", &pin);
    strict = arg.Flag(2, "strict");
    arg.RoomGiven(3, "header", &header);
  }
  hsm_status Run() { return hsm_token_create(device, pin, strict, &header, &part); }
  napi_value Answer(napi_env env) { return Numbers(env, {part, header.len}); }
};

// tokenOpen(device, header): partition
struct TokenOpen : Call {
  Path device;
  hsm_in header;
  hsm_part part = 0;
  void Read(Args& arg) {
    arg.CString(0, "device", device);
    arg.Bytes(1, "header", &header);
  }
  hsm_status Run() { return hsm_token_open(device, header, &part); }
  napi_value Answer(napi_env env) { return Handle(env, part); }
};

// tokenRefresh(partition, header)
struct TokenRefresh : Call {
  hsm_part part;
  hsm_in header;
  void Read(Args& arg) {
    part = arg.Handle(0, "partition");
    arg.Bytes(1, "header", &header);
  }
  hsm_status Run() { return hsm_token_refresh(part, header); }
};

// tokenDescribe(partition): { id, strict, userPin, userTries, soTries, iterations }
struct TokenDescribe : Call {
  hsm_part part;
  hsm_token_info info{};
  void Read(Args& arg) { part = arg.Handle(0, "partition"); }
  hsm_status Run() { return hsm_token_describe(part, &info); }
  napi_value Answer(napi_env env) {
    static const char digits[] = "0123456789abcdef";
    char id[2 * sizeof info.id];
    for (size_t i = 0; i < sizeof info.id; i++) {
      id[2 * i] = digits[info.id[i] >> 4];
      id[2 * i + 1] = digits[info.id[i] & 15];
    }
    napi_value o;
    napi_create_object(env, &o);
    SetString(env, o, "id", id, sizeof id);
    SetFlag(env, o, "strict", info.strict);
    SetFlag(env, o, "userPin", info.user_pin);
    SetNumber(env, o, "userTries", info.user_tries);
    SetNumber(env, o, "soTries", info.so_tries);
    SetNumber(env, o, "iterations", info.iterations);
    return o;
  }
};

// tokenReset(partition, soPin, strict, header): length
struct TokenReset : Call {
  hsm_part part;
  hsm_in pin;
  bool strict;
  hsm_out header;
  void Read(Args& arg) {
    part = arg.Handle(0, "partition");
    arg.Bytes(1, "soPin", &pin);
    strict = arg.Flag(2, "strict");
    arg.RoomGiven(3, "header", &header);
  }
  hsm_status Run() { return hsm_token_reset(part, pin, strict, &header); }
  napi_value Answer(napi_env env) { return Length(env, header.len); }
};

// tokenPin(session, role, old, pin, header): length
struct TokenPin : Call {
  hsm_session session;
  hsm_role role;
  hsm_in old, pin;
  hsm_out header;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    uint32_t number = arg.Word(1, "role");
    if (number != HSM_ROLE_USER && number != HSM_ROLE_OFFICER) arg.Refuse("role", "1 (user) or 2 (officer)");
    role = number == HSM_ROLE_USER ? HSM_ROLE_USER : HSM_ROLE_OFFICER;
    arg.Bytes(2, "old", &old);
    arg.Bytes(3, "pin", &pin);
    arg.RoomGiven(4, "header", &header);
  }
  hsm_status Run() { return hsm_token_pin(session, role, old, pin, &header); }
  napi_value Answer(napi_env env) { return Length(env, header.len); }
};

// tokenPolicy(partition, soPin, userPin, strict, header): length
struct TokenPolicy : Call {
  hsm_part part;
  hsm_in so_pin, user_pin;
  bool strict;
  hsm_out header;
  void Read(Args& arg) {
    part = arg.Handle(0, "partition");
    arg.Bytes(1, "soPin", &so_pin);
    arg.Bytes(2, "userPin", &user_pin);
    strict = arg.Flag(3, "strict");
    arg.RoomGiven(4, "header", &header);
  }
  hsm_status Run() { return hsm_token_policy(part, so_pin, user_pin, strict, &header); }
  napi_value Answer(napi_env env) { return Length(env, header.len); }
};

// tokenExport(session, device, passphrase, fileSha256, ticket): length
struct TokenExport : Call {
  hsm_session session;
  Path device;
  hsm_in passphrase, digest;
  hsm_out ticket;
  void Read(Args& arg) {
    session = arg.Handle(0, "session");
    arg.CString(1, "device", device);
    arg.Bytes(2, "passphrase", &passphrase);
    arg.Bytes(3, "fileSha256", &digest);
    arg.RoomGiven(4, "ticket", &ticket);
  }
  hsm_status Run() { return hsm_token_export(session, device, passphrase, digest, &ticket); }
  napi_value Answer(napi_env env) { return Length(env, ticket.len); }
};

// tokenImport(device, passphrase, ticket, fileSha256)
struct TokenImport : Call {
  Path device;
  hsm_in passphrase, ticket, digest;
  void Read(Args& arg) {
    arg.CString(0, "device", device);
    arg.Bytes(1, "passphrase", &passphrase);
    arg.Bytes(2, "ticket", &ticket);
    arg.Bytes(3, "fileSha256", &digest);
  }
  hsm_status Run() { return hsm_token_import(device, passphrase, ticket, digest); }
};

// tokenTag(partition, private, attribute, value, tag): length
struct TokenTag : Call {
  hsm_part part;
  bool priv;
  uint32_t attr;
  hsm_in value;
  hsm_out tag;
  void Read(Args& arg) {
    part = arg.Handle(0, "partition");
    priv = arg.Flag(1, "private");
    attr = arg.Word(2, "attribute");
    arg.Bytes(3, "value", &value);
    arg.RoomGiven(4, "tag", &tag);
    if (!arg.Refused() && tag.cap < HSM_TOKEN_TAG) arg.Refuse("tag", "room for 16 bytes");
  }
  hsm_status Run() {
    hsm_status status = hsm_token_tag(part, priv, attr, value, tag.ptr);
    tag.len = status == HSM_OK ? HSM_TOKEN_TAG : 0;
    return status;
  }
  napi_value Answer(napi_env env) { return Length(env, tag.len); }
};

// tokenMac(partition, bytes, mac): length
struct TokenMac : Call {
  hsm_part part;
  hsm_in bytes;
  hsm_out mac;
  void Read(Args& arg) {
    part = arg.Handle(0, "partition");
    arg.Bytes(1, "bytes", &bytes);
    arg.RoomGiven(2, "mac", &mac);
    if (!arg.Refused() && mac.cap < 32) arg.Refuse("mac", "room for 32 bytes");
  }
  hsm_status Run() {
    hsm_status status = hsm_token_mac(part, bytes, mac.ptr);
    mac.len = status == HSM_OK ? 32 : 0;
    return status;
  }
  napi_value Answer(napi_env env) { return Length(env, mac.len); }
};

const Export kList[] = {
    NOW("tokenCreate", TokenCreate), LATER("tokenCreateSlow", TokenCreate), NOW("tokenOpen", TokenOpen),
    NOW("tokenRefresh", TokenRefresh), NOW("tokenDescribe", TokenDescribe), NOW("tokenReset", TokenReset),
    LATER("tokenResetSlow", TokenReset), NOW("tokenPin", TokenPin), LATER("tokenPinSlow", TokenPin),
    NOW("tokenPolicy", TokenPolicy), LATER("tokenPolicySlow", TokenPolicy), NOW("tokenExport", TokenExport),
    LATER("tokenExportSlow", TokenExport), NOW("tokenImport", TokenImport), LATER("tokenImportSlow", TokenImport),
    NOW("tokenTag", TokenTag), NOW("tokenMac", TokenMac),
};

}  // namespace

const Exports kTokenExports = {kList, std::size(kList)};
