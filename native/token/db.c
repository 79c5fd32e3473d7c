/* db.c - the one connection to a token's file.
 *
 * Locks: SQLite's POSIX record locks belong to the process, and closing any
 * descriptor of the file drops them all, so two copies of SQLite in one
 * process (this one and a host's) would lose each other's. The unix VFS is
 * given an fcntl that takes the same locks on the open file description
 * instead. That is sound because a token has exactly one connection in a copy:
 * SQLite then locks and unlocks by one descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db.h"
#include "load.h"

#define APPLICATION_ID 0x53744E31               /* "StN1" */
#define GONE_KEPT 4096u

enum stmt {
	S_BEGIN, S_BEGIN_WRITE, S_COMMIT, S_ROLLBACK, S_VERSION, S_META, S_SET_META, S_ROWS, S_GONE,
	S_PUT_ROW, S_PUT_BODY, S_DROP_ROW, S_DROP_BODY, S_PUT_GONE, S_PRUNE_GONE, S_BODY, S_COUNT
};

struct db {
	sqlite3 *sql;
	sqlite3_stmt *stmts[S_COUNT];
};

static const char *const texts[S_COUNT] = {
	[S_BEGIN] = "BEGIN",
	[S_BEGIN_WRITE] = "BEGIN IMMEDIATE",
	[S_COMMIT] = "COMMIT",
	[S_ROLLBACK] = "ROLLBACK",
	[S_VERSION] = "PRAGMA data_version",
	[S_META] = "SELECT value FROM meta WHERE name = ?1",
	[S_SET_META] = "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
	[S_ROWS] = "SELECT id, version, seq, private, name, class, label, ident FROM object WHERE seq > ?1 ORDER BY seq",
	[S_GONE] = "SELECT id FROM gone WHERE seq > ?1 ORDER BY seq",
	[S_PUT_ROW] = "INSERT OR REPLACE INTO object (id, version, seq, private, name, class, label, ident) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[S_PUT_BODY] = "INSERT OR REPLACE INTO body (id, sealed) VALUES (?1, ?2)",
	[S_DROP_ROW] = "DELETE FROM object WHERE id = ?1",
	[S_DROP_BODY] = "DELETE FROM body WHERE id = ?1",
	[S_PUT_GONE] = "INSERT OR REPLACE INTO gone (seq, id) VALUES (?1, ?2)",
	[S_PRUNE_GONE] = "DELETE FROM gone WHERE seq < ?1",
	[S_BODY] = "SELECT sealed FROM body WHERE id = ?1",
};

/* Small rows apart from sealed bodies: reading the index of 100,000 objects
 * touches a tenth of the file. */
static const char schema[] =
	"CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE object (id INTEGER PRIMARY KEY, version INTEGER NOT NULL, seq INTEGER NOT NULL,"
	" private INTEGER NOT NULL, name BLOB NOT NULL, class BLOB NOT NULL, label BLOB NOT NULL, ident BLOB NOT NULL);"
	"CREATE INDEX object_seq ON object (seq);"
	"CREATE TABLE body (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL);"
	"CREATE TABLE gone (seq INTEGER PRIMARY KEY, id INTEGER NOT NULL);";

static pthread_once_t vfs_once = PTHREAD_ONCE_INIT;
static bool vfs_ready;

static int
ofd_fcntl(int fd, int cmd, ...)
{
	va_list args;
	void *arg;
	struct flock lock;
	int rc;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	if (cmd != F_SETLK && cmd != F_SETLKW && cmd != F_GETLK)
		return fcntl(fd, cmd, arg);
	lock = *(struct flock *)arg;
	lock.l_pid = 0;
	rc = fcntl(fd, cmd == F_SETLK ? F_OFD_SETLK : cmd == F_SETLKW ? F_OFD_SETLKW : F_OFD_GETLK, &lock);
	if (cmd == F_GETLK)
		*(struct flock *)arg = lock;
	return rc;
}

static void
vfs_prepare(void)
{
	sqlite3_vfs *vfs = sqlite3_initialize() == SQLITE_OK ? sqlite3_vfs_find("unix") : NULL;

	vfs_ready = vfs != NULL
	    && vfs->xSetSystemCall(vfs, "fcntl", (sqlite3_syscall_ptr)ofd_fcntl) == SQLITE_OK;
}

static hsm_status
db_status(int rc)
{
	switch (rc & 0xFF) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return HSM_OK;
	case SQLITE_NOMEM:
		return HSM_E_MEMORY;
	case SQLITE_FULL:
		return HSM_E_LIMIT;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR:              /* a table that should be there is not */
	case SQLITE_MISMATCH:
		return HSM_E_INTEGRITY;
	case SQLITE_READONLY:
		return HSM_E_READ_ONLY;
	default:
		return HSM_E_IO;
	}
}

static hsm_status
db_exec(struct db *db, const char *text)
{
	return db_status(sqlite3_exec(db->sql, text, NULL, NULL, NULL));
}

static hsm_status
stmt_get(struct db *db, enum stmt which, sqlite3_stmt **stmt)
{
	int rc = SQLITE_OK;

	if (db->stmts[which] == NULL)
		rc = sqlite3_prepare_v3(db->sql, texts[which], -1, SQLITE_PREPARE_PERSISTENT, &db->stmts[which], NULL);
	*stmt = db->stmts[which];
	return db_status(rc);
}

static hsm_status
stmt_end(sqlite3_stmt *stmt, int rc)
{
	hsm_status st = db_status(rc);
	hsm_status end;

	if (stmt == NULL)
		return st;
	end = db_status(sqlite3_reset(stmt));
	sqlite3_clear_bindings(stmt);
	return st == HSM_OK ? end : st;
}

static hsm_status
stmt_run(struct db *db, enum stmt which)
{
	sqlite3_stmt *stmt;
	hsm_status st = stmt_get(db, which, &stmt);

	return st == HSM_OK ? stmt_end(stmt, sqlite3_step(stmt)) : st;
}

void
db_close(struct db *db)
{
	if (db == NULL)
		return;
	for (unsigned i = 0; i < S_COUNT; i++)
		sqlite3_finalize(db->stmts[i]);
	sqlite3_close_v2(db->sql);
	free(db);
}

static hsm_status
db_connect(const char *path, int flags, struct db **out)
{
	struct db *db;
	hsm_status st;

	*out = NULL;
	pthread_once(&vfs_once, vfs_prepare);
	if (!vfs_ready)
		return HSM_E_IO;
	if ((db = calloc(1, sizeof *db)) == NULL)
		return HSM_E_MEMORY;
	st = db_status(sqlite3_open_v2(path, &db->sql, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, "unix"));
	if (st == HSM_E_INTEGRITY || st == HSM_E_LIMIT)
		st = HSM_E_IO;
	if (st == HSM_OK) {
		sqlite3_busy_timeout(db->sql, 30000);
		sqlite3_limit(db->sql, SQLITE_LIMIT_LENGTH, 1 << 24);
		sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		sqlite3_db_config(db->sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
		/* No WAL: its two files beside the token would be two more to
		 * lose when one is copied. EXTRA also syncs the folder when the
		 * journal goes, so that an acknowledged change outlives a power
		 * cut; a journal that is gone (not emptied) keeps finds short. */
		st = db_exec(db, "PRAGMA synchronous = EXTRA; PRAGMA secure_delete = ON; PRAGMA cell_size_check = ON;"
		    "PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF; PRAGMA journal_mode = DELETE;");
	}
	if (st != HSM_OK) {
		db_close(db);
		db = NULL;
	}
	*out = db;
	return st;
}

static hsm_status
db_number(struct db *db, const char *text, uint64_t *value)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db->sql, text, -1, &stmt, NULL);

	*value = 0;
	if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		*value = (uint64_t)sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return db_status(rc);
}

hsm_status
db_make(const char *path, struct db **db)
{
	int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	hsm_status st;
	char *id;

	*db = NULL;
	if (fd < 0)
		return errno == EEXIST ? HSM_E_EXISTS : errno == ENOSPC ? HSM_E_LIMIT : HSM_E_IO;
	close(fd);
	if ((st = db_connect(path, SQLITE_OPEN_READWRITE, db)) != HSM_OK)
		goto out;
	id = sqlite3_mprintf("BEGIN; PRAGMA application_id = %d; PRAGMA user_version = 1; %s COMMIT;", APPLICATION_ID, schema);
	st = id == NULL ? HSM_E_MEMORY : db_exec(*db, id);
	sqlite3_free(id);
out:
	if (st != HSM_OK) {
		db_close(*db);
		*db = NULL;
		unlink(path);
	}
	return st;
}

hsm_status
db_open(const char *path, struct db **db)
{
	uint64_t application, version;
	struct stat at;
	hsm_status st;

	*db = NULL;
	if (lstat(path, &at) != 0 || !S_ISREG(at.st_mode))
		return HSM_E_IO;
	if ((st = db_connect(path, SQLITE_OPEN_READWRITE, db)) != HSM_OK)
		return st;
	if ((st = db_number(*db, "PRAGMA application_id", &application)) == HSM_OK
	    && (st = db_number(*db, "PRAGMA user_version", &version)) == HSM_OK
	    && (application != APPLICATION_ID || version != 1))
		st = HSM_E_FORMAT;
	if (st != HSM_OK) {
		db_close(*db);
		*db = NULL;
	}
	return st;
}

hsm_status
db_begin(struct db *db, bool write)
{
	return stmt_run(db, write ? S_BEGIN_WRITE : S_BEGIN);
}

hsm_status
db_commit(struct db *db)
{
	return stmt_run(db, S_COMMIT);
}

void
db_rollback(struct db *db)
{
	if (sqlite3_get_autocommit(db->sql) == 0)
		(void)!stmt_run(db, S_ROLLBACK);
}

hsm_status
db_version(struct db *db, uint64_t *version)
{
	sqlite3_stmt *stmt;
	hsm_status st = stmt_get(db, S_VERSION, &stmt);
	int rc;

	*version = 0;
	if (st != HSM_OK)
		return st;
	if ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
		*version = (uint64_t)sqlite3_column_int64(stmt, 0);
	return stmt_end(stmt, rc);
}

bool
db_moved(struct db *db)
{
	int moved = 0;

	return sqlite3_file_control(db->sql, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK || moved != 0;
}

hsm_status
db_bytes(struct db *db, uint8_t **bytes, size_t *len)
{
	return file_load(sqlite3_db_filename(db->sql, "main"), bytes, len);
}

/* A blob of exactly len bytes, or the row is damaged. */
static bool
column_bytes(sqlite3_stmt *stmt, int column, uint8_t *to, size_t len)
{
	if (sqlite3_column_type(stmt, column) != SQLITE_BLOB || (size_t)sqlite3_column_bytes(stmt, column) != len)
		return false;
	memcpy(to, sqlite3_column_blob(stmt, column), len);
	return true;
}

hsm_status
db_meta(struct db *db, const char *name, hsm_out *value)
{
	sqlite3_stmt *stmt;
	hsm_status st = stmt_get(db, S_META, &stmt), end;
	size_t len;
	int rc;

	value->len = 0;
	if (st != HSM_OK)
		return st;
	sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	if ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		len = (size_t)sqlite3_column_bytes(stmt, 0);
		if (len <= value->cap && column_bytes(stmt, 0, value->ptr, len))
			value->len = len;
		else
			st = HSM_E_INTEGRITY;
	} else if (rc == SQLITE_DONE) {
		st = HSM_E_INTEGRITY;
	}
	end = stmt_end(stmt, rc);
	return st == HSM_OK ? end : st;
}

hsm_status
db_set_meta(struct db *db, const char *name, hsm_in value)
{
	sqlite3_stmt *stmt;
	hsm_status st = stmt_get(db, S_SET_META, &stmt);

	if (st != HSM_OK)
		return st;
	sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_blob64(stmt, 2, value.ptr, value.len, SQLITE_STATIC);
	return stmt_end(stmt, sqlite3_step(stmt));
}

static bool
row_read(sqlite3_stmt *stmt, struct row *row)
{
	memset(row, 0, sizeof *row);
	row->id = (uint64_t)sqlite3_column_int64(stmt, 0);
	row->version = (uint64_t)sqlite3_column_int64(stmt, 1);
	row->seq = (uint64_t)sqlite3_column_int64(stmt, 2);
	row->priv = sqlite3_column_int(stmt, 3) != 0;
	return column_bytes(stmt, 4, row->name, sizeof row->name)
	    && column_bytes(stmt, 5, row->klass, sizeof row->klass)
	    && column_bytes(stmt, 6, row->label, sizeof row->label)
	    && column_bytes(stmt, 7, row->ident, sizeof row->ident);
}

hsm_status
db_rows(struct db *db, uint64_t seq, hsm_status (*take)(void *arg, struct row *row), void *arg)
{
	sqlite3_stmt *stmt;
	hsm_status st = stmt_get(db, S_ROWS, &stmt), end;
	struct row row;
	int rc = SQLITE_DONE;

	if (st != HSM_OK)
		return st;
	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)seq);
	while (st == HSM_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		st = row_read(stmt, &row) ? take(arg, &row) : HSM_E_INTEGRITY;
	end = stmt_end(stmt, rc);
	return st == HSM_OK ? end : st;
}

hsm_status
db_gone(struct db *db, uint64_t seq, hsm_status (*take)(void *arg, uint64_t id), void *arg)
{
	sqlite3_stmt *stmt;
	hsm_status st = stmt_get(db, S_GONE, &stmt), end;
	int rc = SQLITE_DONE;

	if (st != HSM_OK)
		return st;
	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)seq);
	while (st == HSM_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		st = take(arg, (uint64_t)sqlite3_column_int64(stmt, 0));
	end = stmt_end(stmt, rc);
	return st == HSM_OK ? end : st;
}

hsm_status
db_put_row(struct db *db, const struct row *row, hsm_in body)
{
	sqlite3_stmt *stmt;
	hsm_status st = stmt_get(db, S_PUT_ROW, &stmt);

	if (st != HSM_OK)
		return st;
	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)row->id);
	sqlite3_bind_int64(stmt, 2, (sqlite3_int64)row->version);
	sqlite3_bind_int64(stmt, 3, (sqlite3_int64)row->seq);
	sqlite3_bind_int(stmt, 4, row->priv);
	sqlite3_bind_blob(stmt, 5, row->name, sizeof row->name, SQLITE_STATIC);
	sqlite3_bind_blob(stmt, 6, row->klass, sizeof row->klass, SQLITE_STATIC);
	sqlite3_bind_blob(stmt, 7, row->label, sizeof row->label, SQLITE_STATIC);
	sqlite3_bind_blob(stmt, 8, row->ident, sizeof row->ident, SQLITE_STATIC);
	if ((st = stmt_end(stmt, sqlite3_step(stmt))) != HSM_OK || (st = stmt_get(db, S_PUT_BODY, &stmt)) != HSM_OK)
		return st;
	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)row->id);
	sqlite3_bind_blob64(stmt, 2, body.ptr, body.len, SQLITE_STATIC);
	return stmt_end(stmt, sqlite3_step(stmt));
}

static hsm_status
run_with(struct db *db, enum stmt which, uint64_t a, uint64_t b)
{
	sqlite3_stmt *stmt;
	hsm_status st = stmt_get(db, which, &stmt);

	if (st != HSM_OK)
		return st;
	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)a);
	if (sqlite3_bind_parameter_count(stmt) > 1)
		sqlite3_bind_int64(stmt, 2, (sqlite3_int64)b);
	return stmt_end(stmt, sqlite3_step(stmt));
}

hsm_status
db_drop_row(struct db *db, uint64_t id, uint64_t seq)
{
	hsm_status st;

	if ((st = run_with(db, S_DROP_ROW, id, 0)) != HSM_OK || (st = run_with(db, S_DROP_BODY, id, 0)) != HSM_OK
	    || (st = run_with(db, S_PUT_GONE, seq, id)) != HSM_OK)
		return st;
	return seq > GONE_KEPT ? run_with(db, S_PRUNE_GONE, seq - GONE_KEPT, 0) : HSM_OK;
}

hsm_status
db_clear(struct db *db)
{
	return db_exec(db, "DELETE FROM object; DELETE FROM body; DELETE FROM gone;");
}

hsm_status
db_body(struct db *db, uint64_t id, uint8_t **body, size_t *len)
{
	sqlite3_stmt *stmt;
	hsm_status st = stmt_get(db, S_BODY, &stmt), end;
	int rc;

	*body = NULL;
	*len = 0;
	if (st != HSM_OK)
		return st;
	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)id);
	if ((rc = sqlite3_step(stmt)) == SQLITE_DONE) {
		st = HSM_E_INTEGRITY;
	} else if (rc == SQLITE_ROW) {
		size_t n = (size_t)sqlite3_column_bytes(stmt, 0);

		if (sqlite3_column_type(stmt, 0) != SQLITE_BLOB || n == 0)
			st = HSM_E_INTEGRITY;
		else if ((*body = malloc(n)) == NULL)
			st = HSM_E_MEMORY;
		else
			memcpy(*body, sqlite3_column_blob(stmt, 0), *len = n);
	}
	end = stmt_end(stmt, rc);
	return st == HSM_OK ? end : st;
}
