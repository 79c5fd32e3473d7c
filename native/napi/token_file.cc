// token_file.cc - tokens at rest (native/token), the same files that the Cryptoki
// module serves; and PINs, read by the core from where they come, so that none
// becomes a string of JavaScript.
#include <string>

#include "call.h"

namespace {

using Path = char[4101];

// A token attached; a PIN in the arena.
class Token final : public Held {
 public:
  Token(std::shared_ptr<Power> power, struct token* t) : Held(std::move(power)), t_(t) {}
  ~Token() override { token_detach(t_); }
  struct token* get() const { return t_; }

 private:
  struct token* t_;
};

class Pin final : public Held {
 public:
  Pin(std::shared_ptr<Power> power, struct secret s) : Held(std::move(power)), s_(s) {}
  ~Pin() override { secret_wipe(&s_); }
  hsm_in in() const { return secret_in(&s_); }

 private:
  struct secret s_;
};

// Takes them from the arguments; shared with slow work.
struct TokenRef {
  std::shared_ptr<Token> held;
  void Read(Args& arg, size_t i) {
    uint64_t number = arg.Handle(i, "token");
    if (!arg.Refused() && (held = arg.home().Find<Token>(number)) == nullptr) arg.Refuse("token", "the number of an attached token");
  }
  struct token* get() const { return held->get(); }
};

struct PinRef {
  std::shared_ptr<Pin> held;
  void Read(Args& arg, size_t i, const char* name) {
    if (arg.Absent(i)) return;             // none: an empty one
    uint64_t number = arg.Handle(i, name);
    if (!arg.Refused() && (held = arg.home().Find<Pin>(number)) == nullptr) arg.Refuse(name, "the number of a PIN");
  }
  hsm_in in() const { return held == nullptr ? hsm_in{nullptr, 0} : held->in(); }
};

// Fails like any call when the core is not open.
struct Holding : Call {
  Env* home;
  std::shared_ptr<Power> power;
  void Read(Args& arg) {
    home = &arg.home();
    power = home->power();
  }
  napi_value Hold(napi_env env, std::shared_ptr<Held> held) { return Handle(env, home->Hold(std::move(held))); }
};

// ---- PINs

// tokenFilePinRead(how, from): pin. how: 0 file, 1 environment, 2 standard input, 3 terminal, 4 terminal, twice
struct PinRead : Holding {
  uint32_t how;
  Path from;
  struct secret pin = {nullptr, 0};
  void Read(Args& arg) {
    Holding::Read(arg);
    how = arg.Word(0, "how");
    if (!arg.Refused() && how > TOKEN_PIN_TERMINAL_TWICE) arg.Refuse("how", "a number from 0 to 4");
    arg.CString(1, "from", from);
  }
  hsm_status Run() { return power == nullptr ? HSM_E_STATE : token_pin_read(static_cast<enum token_pin_from>(how), from, &pin); }
  napi_value Answer(napi_env env) { return Hold(env, std::make_shared<Pin>(power, pin)); }
};

// tokenFilePinTake(bytes): pin. For who has it as bytes already.
struct PinTake : Holding {
  hsm_in bytes;
  struct secret pin = {nullptr, 0};
  void Read(Args& arg) {
    Holding::Read(arg);
    arg.Bytes(0, "bytes", &bytes);
    if (!arg.Refused() && (bytes.len == 0 || bytes.len > 4096)) arg.Refuse("bytes", "1 to 4096 bytes");
  }
  hsm_status Run() { return power == nullptr ? HSM_E_STATE : secret_copy(&pin, bytes); }
  napi_value Answer(napi_env env) { return Hold(env, std::make_shared<Pin>(power, pin)); }
};

// tokenFileDrop(number): a token is detached, a PIN wiped, when no work uses it
struct Drop : Call {
  Env* home;
  uint64_t number;
  void Read(Args& arg) {
    home = &arg.home();
    number = arg.Handle(0, "number");
  }
  hsm_status Run() { return HSM_OK; }
  napi_value Answer(napi_env env) {
    home->Drop(number);
    return Call::Answer(env);
  }
};

// ---- a token's life

constexpr size_t kTokensMax = 4096;

// tokenFileHome(): where tokens are when nothing else is said, as the module has it
struct Home : Call {
  char home[PATH_MAX];
  void Read(Args&) {}
  hsm_status Run() { return token_home(home); }
  napi_value Answer(napi_env env) {
    napi_value text = nullptr;
    napi_create_string_utf8(env, home, NAPI_AUTO_LENGTH, &text);
    return text;
  }
};

// tokenFileScan(home): numbers
struct Scan : Call {
  Path home;
  std::vector<uint32_t> numbers;
  void Read(Args& arg) { arg.CString(0, "home", home); }
  hsm_status Run() {
    size_t count = 0;
    numbers.resize(kTokensMax);
    hsm_status status = token_scan(home, numbers.data(), numbers.size(), &count);
    numbers.resize(count < kTokensMax ? count : kTokensMax);
    return status;
  }
  napi_value Answer(napi_env env) {
    napi_value array = nullptr;
    uint32_t at = 0;
    napi_create_array_with_length(env, numbers.size(), &array);
    for (uint32_t number : numbers) napi_set_element(env, array, at++, Number(env, number));
    return array;
  }
};

struct Labelled {
  char text[TOKEN_LABEL_LEN + 5];
  uint8_t label[TOKEN_LABEL_LEN];
  void Read(Args& arg, size_t i) {
    hsm_in bytes;
    arg.String(i, "label", text, &bytes);
    std::memset(label, ' ', sizeof label);
    if (!arg.Refused()) std::memcpy(label, bytes.ptr, bytes.len);
  }
};

struct Attaching : Holding {
  Path path;
  uint32_t number;
  struct token* t = nullptr;
  void Read(Args& arg) {
    Holding::Read(arg);
    arg.CString(0, "home", path);
    number = arg.Word(1, "number");
  }
  ~Attaching() { token_detach(t); }
  Attaching() = default;
  Attaching(const Attaching&) = delete;
  Attaching& operator=(const Attaching&) = delete;
  napi_value Answer(napi_env env) { return Hold(env, std::make_shared<Token>(power, std::exchange(t, nullptr))); }
};

// tokenFileMake(home, number, label, soPin, strict): token
struct Make : Attaching {
  Labelled label;
  PinRef so_pin;
  bool strict;
  void Read(Args& arg) {
    Attaching::Read(arg);
    label.Read(arg, 2);
    so_pin.Read(arg, 3, "soPin");
    strict = arg.Flag(4, "strict");
  }
  hsm_status Run() { return power == nullptr ? HSM_E_STATE : token_make(path, number, label.label, so_pin.in(), strict, &t); }
};

// tokenFileAttach(home, number): token
struct Attach : Attaching {
  hsm_status Run() { return power == nullptr ? HSM_E_STATE : token_attach(path, number, &t); }
};

// tokenFileDelete(home, number)
struct Delete : Call {
  Path home;
  uint32_t number;
  void Read(Args& arg) {
    arg.CString(0, "home", home);
    number = arg.Word(1, "number");
  }
  hsm_status Run() { return token_delete(home, number); }
};

struct OnToken : Call {
  TokenRef token;
  void Read(Args& arg) { token.Read(arg, 0); }
};

// tokenFilePartition(token): partition
struct Partition : OnToken {
  hsm_status Run() { return HSM_OK; }
  napi_value Answer(napi_env env) { return Handle(env, token_part(token.get())); }
};

// tokenFileAbout(token): { label, id, strict, userPin, userTries, soTries, iterations }
struct About : OnToken {
  uint8_t label[TOKEN_LABEL_LEN];
  hsm_token_info info{};
  hsm_status Run() { return token_describe(token.get(), label, &info); }
  napi_value Answer(napi_env env) {
    static const char digits[] = "0123456789abcdef";
    char id[2 * sizeof info.id];
    size_t len = sizeof label;
    napi_value o;
    while (len > 0 && label[len - 1] == ' ') len--;
    for (size_t i = 0; i < sizeof info.id; i++) {
      id[2 * i] = digits[info.id[i] >> 4];
      id[2 * i + 1] = digits[info.id[i] & 15];
    }
    napi_create_object(env, &o);
    SetString(env, o, "label", reinterpret_cast<const char*>(label), len);
    SetString(env, o, "id", id, sizeof id);
    SetFlag(env, o, "strict", info.strict);
    SetFlag(env, o, "userPin", info.user_pin);
    SetNumber(env, o, "userTries", info.user_tries);
    SetNumber(env, o, "soTries", info.so_tries);
    SetNumber(env, o, "iterations", info.iterations);
    return o;
  }
};

// tokenFileReset(token, label, soPin, strict)
struct Reset : OnToken {
  Labelled label;
  PinRef so_pin;
  bool strict;
  void Read(Args& arg) {
    OnToken::Read(arg);
    label.Read(arg, 1);
    so_pin.Read(arg, 2, "soPin");
    strict = arg.Flag(3, "strict");
  }
  hsm_status Run() { return token_reset(token.get(), label.label, so_pin.in(), strict); }
};

// tokenFilePolicy(token, soPin, userPin, strict)
struct Policy : OnToken {
  PinRef so_pin, user_pin;
  bool strict;
  void Read(Args& arg) {
    OnToken::Read(arg);
    so_pin.Read(arg, 1, "soPin");
    user_pin.Read(arg, 2, "userPin");
    strict = arg.Flag(3, "strict");
  }
  hsm_status Run() { return token_policy(token.get(), so_pin.in(), user_pin.in(), strict); }
};

// ---- roles

struct InSession : OnToken {
  hsm_session session;
  void Read(Args& arg) {
    OnToken::Read(arg);
    session = arg.Handle(1, "session");
  }
  static hsm_role Role(Args& arg, size_t i) {
    uint32_t number = arg.Word(i, "role");
    if (number != HSM_ROLE_USER && number != HSM_ROLE_OFFICER) arg.Refuse("role", "1 (user) or 2 (officer)");
    return number == HSM_ROLE_USER ? HSM_ROLE_USER : HSM_ROLE_OFFICER;
  }
};

// tokenFileLogin(token, session, role, pin)
struct Login : InSession {
  hsm_role role;
  PinRef pin;
  void Read(Args& arg) {
    InSession::Read(arg);
    role = Role(arg, 2);
    pin.Read(arg, 3, "pin");
  }
  hsm_status Run() { return token_login(token.get(), session, role, pin.in()); }
};

// tokenFilePinCheck(token, session, pin): the user's once more, who is logged in
struct PinCheck : InSession {
  PinRef pin;
  void Read(Args& arg) {
    InSession::Read(arg);
    pin.Read(arg, 2, "pin");
  }
  hsm_status Run() { return hsm_pin_check(session, pin.in()); }
};

// tokenFileLogout(token, session)
struct Logout : InSession {
  hsm_status Run() {
    hsm_status status = hsm_logout(session);
    if (status == HSM_OK) token_logged_out(token.get());
    return status;
  }
};

// tokenFilePin(token, session, role, old, pin)
struct SetPin : InSession {
  hsm_role role;
  PinRef old, pin;
  void Read(Args& arg) {
    InSession::Read(arg);
    role = Role(arg, 2);
    old.Read(arg, 3, "old");
    pin.Read(arg, 4, "pin");
  }
  hsm_status Run() { return token_pin(token.get(), session, role, old.in(), pin.in()); }
};

// ---- objects

// tokenFilePut(token, session, key, public key or 0): durable, both or none
struct Put : InSession {
  hsm_key keys[2];
  void Read(Args& arg) {
    InSession::Read(arg);
    keys[0] = arg.Handle(2, "key");
    keys[1] = arg.Handle(3, "publicKey");
  }
  hsm_status Run() { return token_put(token.get(), session, keys, keys[1] == 0 ? 1 : 2); }
};

struct OnObject : InSession {
  hsm_key key;
  void Read(Args& arg) {
    InSession::Read(arg);
    key = arg.Handle(2, "key");
  }
};

// tokenFileHolds(token, session, key): is it kept in the file?
struct Holds : OnObject {
  bool holds;
  hsm_status Run() {
    holds = token_holds(token.get(), key);
    return HSM_OK;
  }
  napi_value Answer(napi_env env) { return Boolean(env, holds); }
};

// tokenFileChange(token, session, key, attributes)
struct Change : OnObject {
  Attrs attrs;
  void Read(Args& arg) {
    OnObject::Read(arg);
    attrs.Read(arg, 3, "attributes");
  }
  hsm_status Run() {
    hsm_status status = attrs.Unpack();
    return status != HSM_OK ? status : token_change(token.get(), session, key, attrs.get(), attrs.size());
  }
};

// tokenFileRemove(token, session, key)
struct Remove : OnObject {
  hsm_status Run() { return token_remove(token.get(), session, key); }
};

// tokenFileFind(token, session, attributes): keys
struct Find : InSession {
  Attrs attrs;
  std::vector<hsm_key> keys;
  void Read(Args& arg) {
    InSession::Read(arg);
    attrs.Read(arg, 2, "attributes");
  }
  hsm_status Run() {
    struct token_search search;
    hsm_role role;
    hsm_key key;
    hsm_status status = attrs.Unpack();
    if (status == HSM_OK) status = hsm_session_role(session, &role);
    if (status == HSM_OK) status = token_search(token.get(), role == HSM_ROLE_USER, attrs.get(), attrs.size(), &search);
    if (status != HSM_OK) return status;
    while ((status = token_search_next(token.get(), session, attrs.get(), attrs.size(), &search, &key)) == HSM_OK && key != 0) keys.push_back(key);
    token_search_end(&search);
    return status;
  }
  napi_value Answer(napi_env env) {
    napi_value array = nullptr;
    uint32_t at = 0;
    napi_create_array_with_length(env, keys.size(), &array);
    for (hsm_key key : keys) napi_set_element(env, array, at++, Handle(env, key));
    return array;
  }
};

// ---- backups

// tokenFileBackup(token, session, home, passphrase, path)
struct Backup : InSession {
  Path home, path;
  PinRef passphrase;
  void Read(Args& arg) {
    InSession::Read(arg);
    arg.CString(2, "home", home);
    passphrase.Read(arg, 3, "passphrase");
    arg.CString(4, "path", path);
  }
  hsm_status Run() { return token_backup(token.get(), session, home, passphrase.in(), path); }
};

// tokenFileRestore(home, number, passphrase, path, replace): number, or that of the place where the token is already
struct Restore : Call {
  Path home, path;
  uint32_t number, at = 0;
  PinRef passphrase;
  bool replace;
  void Read(Args& arg) {
    arg.CString(0, "home", home);
    number = arg.Word(1, "number");
    passphrase.Read(arg, 2, "passphrase");
    arg.CString(3, "path", path);
    replace = arg.Flag(4, "replace");
  }
  hsm_status Run() {
    hsm_status status = token_restore(home, number, passphrase.in(), path, replace, &at);
    return status == HSM_E_EXISTS && at != number ? HSM_OK : status;
  }
  napi_value Answer(napi_env env) { return Number(env, at); }
};

// ---- moving in

// tokenFileSofthsmLabel(folder): label of the SoftHSM2 token there
struct SofthsmLabel : Call {
  Path folder;
  uint8_t label[TOKEN_LABEL_LEN];
  void Read(Args& arg) { arg.CString(0, "folder", folder); }
  hsm_status Run() { return token_softhsm_label(folder, label); }
  napi_value Answer(napi_env env) {
    size_t len = sizeof label;
    napi_value text = nullptr;
    while (len > 0 && label[len - 1] == ' ') len--;
    napi_create_string_utf8(env, reinterpret_cast<const char*>(label), len, &text);
    return text;
  }
};

// tokenFileImportSofthsm(token, session, folder, pin, partial): { moved, skipped: [{ class, type, label, why }], refused }
struct ImportSofthsm : InSession {
  Path folder;
  PinRef pin;
  bool partial, refused = false;
  struct token_import report{};
  void Read(Args& arg) {
    InSession::Read(arg);
    arg.CString(2, "folder", folder);
    pin.Read(arg, 3, "pin");
    partial = arg.Flag(4, "partial");
  }
  hsm_status Run() {
    hsm_status status = token_import_softhsm(token.get(), session, folder, pin.in(), partial, &report);
    refused = status == HSM_E_UNSUPPORTED && report.skipped != 0;
    return refused ? HSM_OK : status;
  }
  napi_value Answer(napi_env env) {
    napi_value o, skips;
    size_t told = report.skipped < TOKEN_IMPORT_SKIPS ? report.skipped : TOKEN_IMPORT_SKIPS;
    napi_create_object(env, &o);
    napi_create_array_with_length(env, told, &skips);
    for (size_t i = 0; i < told; i++) {
      const struct token_import_skip& s = report.skips[i];
      napi_value skip;
      napi_create_object(env, &skip);
      SetNumber(env, skip, "class", static_cast<double>(s.klass));
      SetNumber(env, skip, "type", static_cast<double>(s.type));
      SetString(env, skip, "label", reinterpret_cast<const char*>(s.label), s.label_len);
      SetString(env, skip, "why", hsm_status_name(s.why));
      napi_set_element(env, skips, static_cast<uint32_t>(i), skip);
    }
    SetNumber(env, o, "moved", static_cast<double>(report.moved));
    SetNumber(env, o, "left", static_cast<double>(report.skipped));
    SetFlag(env, o, "refused", refused);
    napi_set_named_property(env, o, "skipped", skips);
    return o;
  }
};

const Export kList[] = {
    NOW("tokenFilePinRead", PinRead),      NOW("tokenFilePinTake", PinTake),   NOW("tokenFileDrop", Drop),
    NOW("tokenFileHome", Home),            NOW("tokenFileScan", Scan),            LATER("tokenFileMakeSlow", Make),   NOW("tokenFileAttach", Attach),
    NOW("tokenFileDelete", Delete),        NOW("tokenFilePartition", Partition), NOW("tokenFileAbout", About),
    LATER("tokenFileResetSlow", Reset),    LATER("tokenFilePolicySlow", Policy), LATER("tokenFileLoginSlow", Login),
    LATER("tokenFilePinCheckSlow", PinCheck), NOW("tokenFileLogout", Logout),  LATER("tokenFilePinSlow", SetPin),
    NOW("tokenFilePut", Put),              NOW("tokenFileHolds", Holds),       NOW("tokenFileChange", Change),
    NOW("tokenFileRemove", Remove),        NOW("tokenFileFind", Find),        NOW("tokenFileSofthsmLabel", SofthsmLabel),
    LATER("tokenFileImportSofthsmSlow", ImportSofthsm), LATER("tokenFileBackupSlow", Backup), LATER("tokenFileRestoreSlow", Restore),
};

}  // namespace

const Exports kTokenFileExports = {kList, std::size(kList)};
