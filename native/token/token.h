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

#include "../module/hsm.h"

#define TOKEN_LABEL_LEN 32
#define TOKEN_NUMBER_MAX 999999u

struct token;

/* $STRONGROOM_HOME, or ~/.strongroom. Tokens lie in its folder `tokens`, the
 * core's device folder is `device`. */
HSM_MUST_USE hsm_status token_home(char home[PATH_MAX]);
/* Numbers of the tokens there, ascending; count may exceed room. A home that
 * is not there has none. */
HSM_MUST_USE hsm_status token_scan(const char *home, uint32_t *numbers, size_t room, size_t *count);
/* Make one. HSM_E_EXISTS: somebody took the number. label: blank-padded. */
HSM_MUST_USE hsm_status token_make(const char *home, uint32_t number, const uint8_t label[TOKEN_LABEL_LEN],
	hsm_in so_pin, bool strict, struct token **t);
/* HSM_E_INTEGRITY, HSM_E_FORMAT: damaged or not a token; HSM_E_IO. */
HSM_MUST_USE hsm_status token_attach(const char *home, uint32_t number, struct token **t);
void token_detach(struct token *t);                     /* closes the partition; NULL is fine */
HSM_MUST_USE hsm_status token_delete(const char *home, uint32_t number);

hsm_part token_part(const struct token *t);
HSM_MUST_USE hsm_status token_describe(struct token *t, uint8_t label[TOKEN_LABEL_LEN], hsm_token_info *info);

HSM_MUST_USE hsm_status token_login(struct token *t, hsm_session session, hsm_role role, hsm_in pin);
/* Call after hsm_logout: private objects' handles have ended. */
void token_logged_out(struct token *t);
HSM_MUST_USE hsm_status token_pin(struct token *t, hsm_session session, hsm_role role, hsm_in old, hsm_in pin);
/* C_InitToken again: all objects go. */
HSM_MUST_USE hsm_status token_reset(struct token *t, const uint8_t label[TOKEN_LABEL_LEN], hsm_in so_pin, bool strict);

/* Make live objects of the core durable, all or none. On failure they are as
 * before: the caller destroys them. */
HSM_MUST_USE hsm_status token_put(struct token *t, hsm_session session, const hsm_key *keys, size_t n);
bool token_holds(struct token *t, hsm_key key);
/* Attributes of a held object, in the core and at rest. */
HSM_MUST_USE hsm_status token_change(struct token *t, hsm_session session, hsm_key key, const hsm_attr *attrs, size_t n);
HSM_MUST_USE hsm_status token_remove(struct token *t, hsm_session session, hsm_key key);

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

#endif
