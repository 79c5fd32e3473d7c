/* db.h - the token's file: SQLite, opened one way, spoken to in whole questions. */
#ifndef STRONGROOM_TOKEN_DB_H
#define STRONGROOM_TOKEN_DB_H

#include "index.h"

#define MANIFEST_LEN 80u        /* u64 seq | u64 count | 32 sum | 32 mac */

struct db;

/* Make a new file (exclusively) with an empty schema, or open one. */
HSM_MUST_USE hsm_status db_make(const char *path, struct db **db);
HSM_MUST_USE hsm_status db_open(const char *path, struct db **db);
void db_close(struct db *db);                           /* NULL is fine */

HSM_MUST_USE hsm_status db_begin(struct db *db, bool write);
HSM_MUST_USE hsm_status db_commit(struct db *db);
void db_rollback(struct db *db);
/* A number that changes when another connection wrote. */
HSM_MUST_USE hsm_status db_version(struct db *db, uint64_t *version);

/* Was the file removed, or another put in its place, since it was opened? */
bool db_moved(struct db *db);

/* The file's bytes, while a transaction holds them still. Heap; the caller frees. */
HSM_MUST_USE hsm_status db_bytes(struct db *db, uint8_t **bytes, size_t *len);

/* Meta values: "label", "header", "manifest". cap bytes of room. */
HSM_MUST_USE hsm_status db_meta(struct db *db, const char *name, hsm_out *value);
HSM_MUST_USE hsm_status db_set_meta(struct db *db, const char *name, hsm_in value);

/* Rows written after `seq`, ascending; take() is given each (handle 0, mac
 * unset) and may refuse. Private to the token room, no core boundary crossed. */
HSM_MUST_USE hsm_status db_rows(struct db *db, uint64_t seq, hsm_status (*take)(void *arg, struct row *row), void *arg);
HSM_MUST_USE hsm_status db_gone(struct db *db, uint64_t seq, hsm_status (*take)(void *arg, uint64_t id), void *arg);
HSM_MUST_USE hsm_status db_put_row(struct db *db, const struct row *row, hsm_in body);
/* Remember in `gone` what was taken out, for other processes' indexes. */
HSM_MUST_USE hsm_status db_drop_row(struct db *db, uint64_t id, uint64_t seq);
HSM_MUST_USE hsm_status db_clear(struct db *db);
/* body: heap, the caller frees. HSM_E_INTEGRITY: there is none. */
HSM_MUST_USE hsm_status db_body(struct db *db, uint64_t id, uint8_t **body, size_t *len);

#endif
