/* index.h - the objects of one token, in memory: what the file's rows say,
 * found by row id, label, id or handle without reading a body. */
#ifndef STRONGROOM_TOKEN_INDEX_H
#define STRONGROOM_TOKEN_INDEX_H

#include "token.h"

#define ROW_NAME_LEN 16
#define NO_ROW UINT32_MAX

enum row_chain { CHAIN_ID, CHAIN_LABEL, CHAIN_IDENT, CHAIN_HANDLE, CHAIN_COUNT };

struct row {
	uint64_t id, version, seq;
	hsm_key handle;                         /* 0: not opened */
	bool priv, used;
	uint8_t name[ROW_NAME_LEN];             /* random; what the seal is bound to */
	uint8_t klass[HSM_TOKEN_TAG], label[HSM_TOKEN_TAG], ident[HSM_TOKEN_TAG];
	uint8_t mac[32];
	uint32_t next[CHAIN_COUNT], prev[CHAIN_COUNT];
};

struct index {
	struct row *rows;
	uint32_t room, used, live;              /* used: high-water mark; live: rows in use */
	uint32_t free;                          /* chain of free rows, by next[CHAIN_ID] */
	uint32_t *heads[CHAIN_COUNT];
	uint32_t buckets;
	uint8_t sum[32];                        /* of all rows' MACs, little-endian */
};

void token_index_init(struct index *x);
void token_index_free(struct index *x);
/* Takes a copy; next and prev are set here. HSM_E_MEMORY. */
HSM_MUST_USE hsm_status token_index_add(struct index *x, const struct row *row);
void token_index_drop(struct index *x, uint32_t at);
uint32_t token_index_by_id(const struct index *x, uint64_t id);
uint32_t token_index_by_handle(const struct index *x, hsm_key handle);
void token_index_set_handle(struct index *x, uint32_t at, hsm_key handle);
/* Walk a chain: first, then again with *at. Ends with NO_ROW. */
uint32_t token_index_first(const struct index *x, enum row_chain chain, const uint8_t tag[HSM_TOKEN_TAG]);
uint32_t token_index_next(const struct index *x, enum row_chain chain, const uint8_t tag[HSM_TOKEN_TAG], uint32_t at);

#endif
