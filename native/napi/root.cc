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

// A slot: five places from `first` on.
//   how         0 key file, 1 passphrase, 2 shares, 3 held elsewhere
//   path        "" where there is none
//   shape       threshold * 256 + count
//   note, answer   bytes
struct Slot {
  static constexpr size_t kPlaces = 5;
  Path path;
  hsm_slot value{};
  void Read(Args& arg, size_t first) {
    uint32_t how = arg.Word(first, "how"), shape = arg.Word(first + 2, "shape");
    if (how > HSM_UNSEAL_HELD) arg.Refuse("how", "0 to 3");
    value.how = static_cast<hsm_unseal>(how);
    arg.CString(first + 1, "path", path);
    value.threshold = shape >> 8;
    value.count = shape & 255;
    arg.BytesIfGiven(first + 3, "note", &value.note);
    arg.BytesIfGiven(first + 4, "answer", &value.answer);
  }
  // Once it lies where it stays.
  const hsm_slot* get() {
    value.path = path[0] == 0 ? nullptr : path;
    return &value;
  }
};

// rootMake(mode, slot..., shares, header): [length of shares, of header]
struct RootMake : Call {
  uint32_t mode;
  Slot slot;
  hsm_out shares, header;
  void Read(Args& arg) {
    mode = arg.Word(0, "mode");
    if (mode > HSM_MODE_LAB) arg.Refuse("mode", "0 (production), 1 (dev) or 2 (lab)");
    slot.Read(arg, 1);
    arg.Room(1 + Slot::kPlaces, "shares", &shares);
    arg.RoomGiven(2 + Slot::kPlaces, "header", &header);
  }
  hsm_status Run() { return hsm_root_make(static_cast<hsm_mode>(mode), slot.get(), &shares, &header); }
  napi_value Answer(napi_env env) { return Numbers(env, {shares.len, header.len}); }
};

// rootOpenSlot(header, slot...)
struct RootOpenSlot : Call {
  hsm_in header;
  Slot slot;
  void Read(Args& arg) {
    arg.Bytes(0, "header", &header);
    slot.Read(arg, 1);
  }
  hsm_status Run() { return hsm_root_open_slot(header, slot.get()); }
};

// rootSlotAt(header, i, note): [how, threshold, count, length of note]
struct RootSlotAt : Call {
  hsm_in header;
  uint32_t i;
  hsm_out note;
  hsm_slot_info slot;
  void Read(Args& arg) {
    arg.Bytes(0, "header", &header);
    i = arg.Word(1, "index");
    arg.RoomGiven(2, "note", &note);
  }
  hsm_status Run() { return hsm_root_slot_at(header, i, &slot, &note); }
  napi_value Answer(napi_env env) { return Numbers(env, {slot.how, slot.threshold, slot.count, note.len}); }
};

// rootSlotAdd(header, slot..., shares, fresh): [length of shares, of fresh]
struct RootSlotAdd : Call {
  hsm_in header;
  Slot slot;
  hsm_out shares, fresh;
  void Read(Args& arg) {
    arg.Bytes(0, "header", &header);
    slot.Read(arg, 1);
    arg.Room(1 + Slot::kPlaces, "shares", &shares);
    arg.RoomGiven(2 + Slot::kPlaces, "fresh", &fresh);
  }
  hsm_status Run() { return hsm_root_slot_add(header, slot.get(), &shares, &fresh); }
  napi_value Answer(napi_env env) { return Numbers(env, {shares.len, fresh.len}); }
};

// rootSlotRemove(header, i, fresh): length
struct RootSlotRemove : Call {
  hsm_in header;
  uint32_t i;
  hsm_out fresh;
  void Read(Args& arg) {
    arg.Bytes(0, "header", &header);
    i = arg.Word(1, "index");
    arg.RoomGiven(2, "fresh", &fresh);
  }
  hsm_status Run() { return hsm_root_slot_remove(header, i, &fresh); }
  napi_value Answer(napi_env env) { return Length(env, fresh.len); }
};

// sharePut(header, purpose, share): [have, need]
struct SharePut : Call {
  hsm_in header, purpose, share;
  char purpose_room[69];
  uint32_t have = 0, need = 0;
  void Read(Args& arg) {
    arg.Bytes(0, "header", &header);
    arg.String(1, "purpose", purpose_room, &purpose);
    arg.Bytes(2, "share", &share);
  }
  hsm_status Run() { return hsm_share_put(header, purpose, share, &have, &need); }
  napi_value Answer(napi_env env) { return Numbers(env, {have, need}); }
};

struct ShareDrop : Call {
  void Read(Args&) {}
  hsm_status Run() {
    hsm_share_drop();
    return HSM_OK;
  }
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
    NOW("rootMake", RootMake),               LATER("rootMakeSlow", RootMake),
    NOW("rootOpenSlot", RootOpenSlot),       LATER("rootOpenSlotSlow", RootOpenSlot),
    NOW("rootSlotAt", RootSlotAt),           NOW("rootSlotRemove", RootSlotRemove),
    NOW("rootSlotAdd", RootSlotAdd),         LATER("rootSlotAddSlow", RootSlotAdd),
    NOW("sharePut", SharePut),               NOW("shareDrop", ShareDrop),
    NOW("rootClose", RootClose),             NOW("partitionCreate", PartitionCreate),
    NOW("partitionOpen", PartitionOpen),     NOW("partitionClose", PartitionClose),
    NOW("partitionEphemeral", PartitionEphemeral), NOW("partitionRestrict", PartitionRestrict),
};

}  // namespace

const Exports kRootExports = {kList, std::size(kList)};
