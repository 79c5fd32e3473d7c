// keep.cc - secrets of others, kept for one use each.
#include "call.h"

namespace {

// keepSeal(service, partition, use, id, secret, sealed): length
struct KeepSeal : Call {
  hsm_session service;
  hsm_part part;
  hsm_keep use;
  char id_room[133];
  hsm_in id, secret;
  hsm_out sealed;
  void Read(Args& arg) {
    service = arg.Handle(0, "service");
    part = arg.Handle(1, "partition");
    uint32_t number = arg.Word(2, "use");
    if (number > HSM_KEEP_PASSWORD) arg.Refuse("use", "0 (signer) or 1 (password)");
    use = number == 0 ? HSM_KEEP_SIGNER : HSM_KEEP_PASSWORD;
    arg.String(3, "id", id_room, &id);
    arg.Bytes(4, "secret", &secret);
    arg.RoomGiven(5, "sealed", &sealed);
  }
  hsm_status Run() { return hsm_keep_seal(service, part, use, id, secret, &sealed); }
  napi_value Answer(napi_env env) { return Length(env, sealed.len); }
};

// keepOpen(service, partition, id, sealed, plain): length; plain is payload
struct KeepOpen : Call {
  hsm_session service;
  hsm_part part;
  char id_room[133];
  hsm_in id, sealed;
  hsm_out plain;
  void Read(Args& arg) {
    service = arg.Handle(0, "service");
    part = arg.Handle(1, "partition");
    arg.String(2, "id", id_room, &id);
    arg.Bytes(3, "sealed", &sealed);
    arg.RoomGiven(4, "plain", &plain);
  }
  hsm_status Run() { return hsm_keep_open(service, part, id, sealed, &plain); }
  napi_value Answer(napi_env env) { return Length(env, plain.len); }
};

// keepSign(service, partition, id, sealed, date, region, target, timestamp, canonical, payloadHash, body, signature): length
struct KeepSign : Call {
  hsm_session service;
  hsm_part part;
  char id_room[133];
  hsm_in id, sealed;
  hsm_sigv4 request{};
  char date[37], region[133], target[133], timestamp[69], hash[133];
  hsm_out signature;
  void Read(Args& arg) {
    service = arg.Handle(0, "service");
    part = arg.Handle(1, "partition");
    arg.String(2, "id", id_room, &id);
    arg.Bytes(3, "sealed", &sealed);
    arg.String(4, "date", date, &request.date);
    arg.String(5, "region", region, &request.region);
    arg.String(6, "target", target, &request.service);
    arg.String(7, "timestamp", timestamp, &request.timestamp);
    arg.Bytes(8, "canonical", &request.canonical);
    arg.String(9, "payloadHash", hash, &request.payload_hash);
    arg.Bytes(10, "body", &request.body);
    arg.RoomGiven(11, "signature", &signature);
  }
  hsm_status Run() { return hsm_keep_sign(service, part, id, sealed, &request, &signature); }
  napi_value Answer(napi_env env) { return Length(env, signature.len); }
};

const Export kList[] = {NOW("keepSeal", KeepSeal), NOW("keepOpen", KeepOpen), NOW("keepSign", KeepSign)};

}  // namespace

const Exports kKeepExports = {kList, std::size(kList)};
