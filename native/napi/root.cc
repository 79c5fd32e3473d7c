// root.cc - the root key and the partitions of accounts.
#include "call.h"

namespace {

hsm_unseal How(Args& arg, size_t i) {
  uint32_t how = arg.Word(i, "how");
  if (how > HSM_UNSEAL_PASSPHRASE) arg.Refuse("how", "0 (key file) or 1 (passphrase)");
  return how == 0 ? HSM_UNSEAL_KEYFILE : HSM_UNSEAL_PASSPHRASE;
}

using Path = char[4101];

// rootCreate(mode, how, path, header): length
struct RootCreate : Call {
  hsm_mode mode;
  hsm_unseal how;
  Path path;
  hsm_out header;
  void Read(Args& arg) {
    uint32_t number = arg.Word(0, "mode");
    if (number > HSM_MODE_LAB) arg.Refuse("mode", "0 (production), 1 (dev) or 2 (lab)");
    mode = number == 0 ? HSM_MODE_PRODUCTION : number == 1 ? HSM_MODE_DEV : HSM_MODE_LAB;
    how = How(arg, 1);
    arg.CString(2, "path", path);
    arg.RoomGiven(3, "header", &header);
  }
  hsm_status Run() { return hsm_root_create(mode, how, path, &header); }
  napi_value Answer(napi_env env) { return Length(env, header.len); }
};

// rootOpen(header, how, path)
struct RootOpen : Call {
  hsm_in header;
  hsm_unseal how;
  Path path;
  void Read(Args& arg) {
    arg.Bytes(0, "header", &header);
    how = How(arg, 1);
    arg.CString(2, "path", path);
  }
  hsm_status Run() { return hsm_root_open(header, how, path); }
};

struct RootClose : Call {
  void Read(Args&) {}
  hsm_status Run() {
    hsm_root_close();
    return HSM_OK;
  }
};

// partitionCreate(account, sealed): [partition, length]
struct PartitionCreate : Call {
  char account_room[69];
  hsm_in account;
  hsm_out sealed;
  hsm_part part = 0;
  void Read(Args& arg) {
    arg.String(0, "account", account_room, &account);
    arg.RoomGiven(1, "sealed", &sealed);
  }
  hsm_status Run() { return hsm_partition_create(account, &sealed, &part); }
  napi_value Answer(napi_env env) { return Numbers(env, {part, sealed.len}); }
};

// partitionOpen(account, sealed): partition
struct PartitionOpen : Call {
  char account_room[69];
  hsm_in account, sealed;
  hsm_part part = 0;
  void Read(Args& arg) {
    arg.String(0, "account", account_room, &account);
    arg.Bytes(1, "sealed", &sealed);
  }
  hsm_status Run() { return hsm_partition_open(account, sealed, &part); }
  napi_value Answer(napi_env env) { return Handle(env, part); }
};

struct PartitionClose : Call {
  hsm_part part;
  void Read(Args& arg) { part = arg.Handle(0, "partition"); }
  hsm_status Run() { return hsm_partition_close(part); }
};

// partitionEphemeral(label): partition
struct PartitionEphemeral : Call {
  char label_room[69];
  hsm_in label;
  hsm_part part = 0;
  void Read(Args& arg) { arg.String(0, "label", label_room, &label); }
  hsm_status Run() { return hsm_partition_ephemeral(label, &part); }
  napi_value Answer(napi_env env) { return Handle(env, part); }
};

struct PartitionRestrict : Call {
  hsm_part part;
  void Read(Args& arg) { part = arg.Handle(0, "partition"); }
  hsm_status Run() { return hsm_partition_restrict(part); }
};

const Export kList[] = {
    NOW("rootCreate", RootCreate),           LATER("rootCreateSlow", RootCreate),
    NOW("rootOpen", RootOpen),               LATER("rootOpenSlow", RootOpen),
    NOW("rootClose", RootClose),             NOW("partitionCreate", PartitionCreate),
    NOW("partitionOpen", PartitionOpen),     NOW("partitionClose", PartitionClose),
    NOW("partitionEphemeral", PartitionEphemeral), NOW("partitionRestrict", PartitionRestrict),
};

}  // namespace

const Exports kRootExports = {kList, std::size(kList)};
