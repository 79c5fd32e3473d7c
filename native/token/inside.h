/* inside.h - a token's own state; nothing outside native/token includes this. */
#ifndef STRONGROOM_TOKEN_INSIDE_H
#define STRONGROOM_TOKEN_INSIDE_H

#include <pthread.h>
#include <sys/types.h>

#include "db.h"

struct token {
	struct token *next;                     /* attach.c: those attached, and by how many */
	unsigned refs;
	dev_t device;
	ino_t inode;
	pthread_mutex_t lock;                   /* the file, the index; never held while a key works */
	struct db *db;
	struct index index;
	uint64_t seq;                           /* of the manifest the index agrees with */
	uint64_t version;                       /* db_version then */
	bool fresh;                             /* version means something */
	bool damaged;                           /* for good: attach again */
	hsm_part part;
	hsm_session service;                    /* a session of its own: closes what no caller may */
	uint8_t label[TOKEN_LABEL_LEN];
	uint8_t header[HSM_TOKEN_HEADER_MAX];
	size_t header_len;
};

#define TOKEN_SUFFIX ".token"

/* token.c */
void token_path(char path[PATH_MAX], const char *home, uint32_t number, const char *suffix);
void token_device(char path[PATH_MAX], const char *home);
HSM_MUST_USE hsm_status token_folder(const char *home);         /* made where it is not there */
HSM_MUST_USE hsm_status token_folder_sync(const char *home);
HSM_MUST_USE hsm_status token_alloc(struct token **t);
void token_close(struct token *t);                              /* NULL is fine */
/* A token's file by its path, nobody else's. */
HSM_MUST_USE hsm_status token_open_file(const char *home, const char *path, struct token **t);

/* attach.c: a forked child starts with none. */
void token_attached_forget(void);

/* fork.c: work on files is counted, so that a fork waits for it to end; the
 * child then inherits SQLite at rest. Not nested. */
void token_work_begin(void);
void token_work_end(void);

/* sync.c, all with the lock held and inside a transaction. */

/* The index as the file is now; HSM_E_INTEGRITY marks the token damaged. */
HSM_MUST_USE hsm_status token_sync_read(struct token *t);
/* Take the lock, begin, look; on failure nothing is held. */
HSM_MUST_USE hsm_status token_sync_enter(struct token *t, bool write);
/* Commit or roll back by `st`, give the lock back, answer what came of it. */
HSM_MUST_USE hsm_status token_sync_leave(struct token *t, hsm_status st);
/* Roll back what was not committed, give the lock back. */
void token_sync_end(struct token *t);
/* Write label, header and a manifest over the index's sum at `seq`. */
HSM_MUST_USE hsm_status token_sync_manifest(struct token *t, uint64_t seq, uint64_t count, const uint8_t sum[32]);
HSM_MUST_USE hsm_status token_sync_row_mac(struct token *t, struct row *row);

#endif
