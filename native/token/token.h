/* token.h - a PKCS#11 token at rest: one SQLite file, sealed objects, a MACed
 * index of them in memory.
 *
 * The file holds the token's label and header, one small row an object (keyed
 * tags of class, label and id), its sealed body, and a manifest: count and
 * keyed sum of all rows, MACed. Whatever is lost, added, swapped or rolled
 * back apart from the whole file breaks the manifest or the seal, so that a
 * find never misses an object silently: HSM_E_INTEGRITY, and the token is
 * refused from then on. Format: docs/formats/token.md.
 *
 * Other processes write the same file: every find and every change looks
 * first whether somebody did. Locks are the open file's (OFD), so that two
 * copies of this code in one process exclude each other too. Every change is
 * one transaction, on disk before the call returns.
 *
 * All calls are thread-safe; keys are the core's handles. */
#ifndef STRONGROOM_TOKEN_H
#define STRONGROOM_TOKEN_H

#include <limits.h>

#include "../base/secret.h"
#include "../module/hsm.h"

#define TOKEN_LABEL_LEN 32
#define TOKEN_NUMBER_MAX 999999u

struct token;

/* $STRONGROOM_HOME; else ~/.strongroom where that is; else the home that
 * /etc/strongroom/pkcs11.conf names; else ~/.strongroom. Tokens lie in its
 * folder `tokens`, the core's device folder is `device`. */
HSM_MUST_USE hsm_status token_home(char home[PATH_MAX]);
/* Numbers of the tokens there, ascending; count may exceed room. A home that
 * is not there has none. */
HSM_MUST_USE hsm_status token_scan(const char *home, uint32_t *numbers, size_t room, size_t *count);
/* Make one. HSM_E_EXISTS: somebody took the number. label: blank-padded. */
HSM_MUST_USE hsm_status token_make(const char *home, uint32_t number, const uint8_t label[TOKEN_LABEL_LEN],
	hsm_in so_pin, bool strict, struct token **t);
/* HSM_E_INTEGRITY, HSM_E_FORMAT: damaged or not a token; HSM_E_IO. One that is
 * attached already is the same: roles are a token's, in all of a process. */
HSM_MUST_USE hsm_status token_attach(const char *home, uint32_t number, struct token **t);
void token_detach(struct token *t);                     /* the last closes the partition; NULL is fine */
/* Who has it attached is answered HSM_E_GONE from then on, and has nothing
 * written to it that was acknowledged after. */
HSM_MUST_USE hsm_status token_delete(const char *home, uint32_t number);
/* Was its file removed or replaced? Then it must be attached anew. */
bool token_gone(struct token *t);

hsm_part token_part(const struct token *t);
HSM_MUST_USE hsm_status token_describe(struct token *t, uint8_t label[TOKEN_LABEL_LEN], hsm_token_info *info);

HSM_MUST_USE hsm_status token_login(struct token *t, hsm_session session, hsm_role role, hsm_in pin);
/* Call after hsm_logout: private objects' handles have ended. */
void token_logged_out(struct token *t);
HSM_MUST_USE hsm_status token_pin(struct token *t, hsm_session session, hsm_role role, hsm_in old, hsm_in pin);
/* hsm_token_policy. */
HSM_MUST_USE hsm_status token_policy(struct token *t, hsm_in so_pin, hsm_in user_pin, bool strict);
/* C_InitToken again: all objects go. */
HSM_MUST_USE hsm_status token_reset(struct token *t, const uint8_t label[TOKEN_LABEL_LEN], hsm_in so_pin, bool strict);

/* Make live objects of the core durable, all or none. On failure they are as
 * before: the caller destroys them. */
HSM_MUST_USE hsm_status token_put(struct token *t, hsm_session session, const hsm_key *keys, size_t n);
bool token_holds(struct token *t, hsm_key key);
/* Attributes of a held object, in the core and at rest. */
HSM_MUST_USE hsm_status token_change(struct token *t, hsm_session session, hsm_key key, const hsm_attr *attrs, size_t n);
HSM_MUST_USE hsm_status token_remove(struct token *t, hsm_session session, hsm_key key);

/* ---- PINs as people give them ---------------------------------------------- */

enum token_pin_from {
	TOKEN_PIN_FILE,                 /* `from` is its path; the first line */
	TOKEN_PIN_ENVIRONMENT,          /* a variable's name */
	TOKEN_PIN_STDIN,                /* the next line of standard input */
	TOKEN_PIN_TERMINAL,             /* asked for with `from`, not shown */
	TOKEN_PIN_TERMINAL_TWICE        /* twice, for a new one */
};

/* Read one into the arena, straight from where it comes: no copy stays outside.
 * HSM_E_IO: not there, or the end; HSM_E_PIN_LEN: longer than any PIN;
 * HSM_E_PIN: the two differ; HSM_E_ARGS: interrupted at the terminal;
 * HSM_E_UNSUPPORTED: there is no terminal. The caller wipes. */
HSM_MUST_USE hsm_status token_pin_read(enum token_pin_from how, const char *from, struct secret *pin);

/* ---- finding ---------------------------------------------------------------- */

/* Find in two steps: who may fit (by the index), then one by one, opened and
 * compared. */
struct token_search {
	uint64_t *rows;                 /* heap; token_search_end frees */
	size_t count, at;
};
HSM_MUST_USE hsm_status token_search(struct token *t, bool user, const hsm_attr *attrs, size_t n, struct token_search *search);
HSM_MUST_USE hsm_status token_search_next(struct token *t, hsm_session session, const hsm_attr *attrs, size_t n,
	struct token_search *search, hsm_key *key);     /* *key 0: no more */
void token_search_end(struct token_search *search);

/* Does a live object carry all of these? Values that do not leave never match. */
HSM_MUST_USE hsm_status token_matches(hsm_session session, hsm_key key, const hsm_attr *attrs, size_t n, bool *match);

/* ---- backups ----------------------------------------------------------------- */

/* The token's file as it is at one moment, with a ticket (hsm_token_export), in a
 * new file at `path`, 0600. passphrase empty: it opens on this device; else on
 * any, and `session` must be the SO's. Others go on using the token.
 * HSM_E_EXISTS: there is a file already. */
HSM_MUST_USE hsm_status token_backup(struct token *t, hsm_session session, const char *home, hsm_in passphrase, const char *path);
/* Put a backup in the place `number`. Its whole content is checked before.
 * `replace`: over the token that is there, whose users are answered HSM_E_GONE.
 * HSM_E_EXISTS: the place is taken; or, whatever `replace` says, the same token
 * is in another (*at names it). HSM_E_PIN, HSM_E_INTEGRITY: hsm_token_import. */
HSM_MUST_USE hsm_status token_restore(const char *home, uint32_t number, hsm_in passphrase, const char *path, bool replace, uint32_t *at);

/* ---- moving in from SoftHSM2 ----------------------------------------------- */

struct token_import_skip { uint64_t klass, type; uint8_t label[64]; size_t label_len; hsm_status why; };
#define TOKEN_IMPORT_SKIPS 64u
struct token_import { size_t moved, skipped; struct token_import_skip skips[TOKEN_IMPORT_SKIPS]; };

/* Whose folder is it? HSM_E_IO, HSM_E_FORMAT; HSM_E_UNSUPPORTED: its objects
 * are in a database. */
HSM_MUST_USE hsm_status token_softhsm_label(const char *folder, uint8_t label[TOKEN_LABEL_LEN]);
/* Every object of the SoftHSM2 token in `folder`, opened with its user's PIN, is
 * made in the core and kept in t, of which `session` is the user's. All or
 * none: HSM_E_UNSUPPORTED where some cannot be, named in `report`; with
 * `partial` those stay behind. The folder is only read.
 * HSM_E_PIN, HSM_E_PIN_UNSET: of the SoftHSM2 token; HSM_E_POLICY: t is strict. */
HSM_MUST_USE hsm_status token_import_softhsm(struct token *t, hsm_session session, const char *folder, hsm_in pin, bool partial,
	struct token_import *report);

#endif
