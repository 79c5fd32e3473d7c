/* attach.c - a token's file is opened once in a process, however many ask.
 *
 * SQLite's locks here are one connection's (db.c): two of one copy would share
 * what they believe to hold. So those that are attached are in a list, by the
 * file they are, counted. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inside.h"

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct token *list;

/* What the parent had attached is forgotten, untouched. */
void
token_attached_forget(void)
{
	pthread_mutex_init(&list_lock, NULL);
	list = NULL;
}

static struct token *
list_find(const struct stat *file)
{
	struct token *t = list;

	while (t != NULL && (t->device != file->st_dev || t->inode != file->st_ino || t->damaged))
		t = t->next;
	return t;
}

static void
list_drop(const struct token *t)
{
	struct token **at = &list;

	while (*at != NULL && *at != t)
		at = &(*at)->next;
	if (*at != NULL)
		*at = t->next;
}

/* Open, and be sure that what was opened is the file that was looked at. */
static hsm_status
attach_file(const char *home, const char *path, struct token **t)
{
	struct stat file;
	hsm_status st;

	*t = NULL;
	if (lstat(path, &file) != 0)
		return HSM_E_IO;
	if ((*t = list_find(&file)) != NULL) {
		(*t)->refs++;
		return HSM_OK;
	}
	if ((st = token_open_file(home, path, t)) != HSM_OK)
		return st;
	(*t)->device = file.st_dev;
	(*t)->inode = file.st_ino;
	(*t)->refs = 1;
	(*t)->next = list;
	list = *t;
	return HSM_OK;
}

hsm_status
token_attach(const char *home, uint32_t number, struct token **t)
{
	char path[PATH_MAX];
	hsm_status st;

	token_path(path, home, number, TOKEN_SUFFIX);
	pthread_mutex_lock(&list_lock);
	st = attach_file(home, path, t);
	pthread_mutex_unlock(&list_lock);
	return st;
}

void
token_detach(struct token *t)
{
	if (t == NULL)
		return;
	pthread_mutex_lock(&list_lock);
	if (--t->refs == 0) {
		list_drop(t);
		token_work_begin();
		token_close(t);
		token_work_end();
	}
	pthread_mutex_unlock(&list_lock);
}

/* Under the file's own lock: whoever writes has committed, or finds it gone. A
 * file that is no token any more is taken away as it is. */
hsm_status
token_delete(const char *home, uint32_t number)
{
	char path[PATH_MAX];
	struct token *t = NULL;
	bool held = token_attach(home, number, &t) == HSM_OK && token_sync_enter(t, true) == HSM_OK;
	hsm_status st = HSM_OK;

	/* A journal that stayed would be played into the next token of this number. */
	token_path(path, home, number, TOKEN_SUFFIX "-journal");
	if (unlink(path) != 0 && errno != ENOENT)
		st = HSM_E_IO;
	token_path(path, home, number, TOKEN_SUFFIX);
	if (st == HSM_OK && unlink(path) != 0)
		st = HSM_E_IO;
	if (held)
		token_sync_end(t);
	token_detach(t);
	return st == HSM_OK ? token_folder_sync(home) : st;
}
