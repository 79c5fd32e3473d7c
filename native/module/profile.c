/* The file is copied line by line into the arena (others' secrets are in it).
 * In the profile's section the three lines that hold keys are dropped and ours
 * come right below its header; no such section: one is added at the end. */
#include "profile.h"

#include <string.h>

#include "../base/secret.h"
#include "file.h"

#define FILE_MAX (1u << 20)
#define PROFILE_MAX 64u

struct edit { struct writer w; hsm_in profile, id, secret; bool inside, done; };

static hsm_in
trim(hsm_in line)
{
	while (line.len > 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t')) {
		line.ptr++;
		line.len--;
	}
	while (line.len > 0 && strchr(" \t\r\n", line.ptr[line.len - 1]) != NULL)
		line.len--;
	return line;
}

static bool
is_header(hsm_in line, hsm_in *name)
{
	line = trim(line);
	if (line.len < 2 || line.ptr[0] != '[' || line.ptr[line.len - 1] != ']')
		return false;
	*name = trim((hsm_in){ line.ptr + 1, line.len - 2 });
	return true;
}

static bool
holds_key(hsm_in line)
{
	static const char *const names[] = { "aws_access_key_id", "aws_secret_access_key", "aws_session_token" };

	line = trim(line);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const size_t len = strlen(names[i]);
		hsm_in rest = { line.ptr + len, line.len - len };

		if (line.len <= len || memcmp(line.ptr, names[i], len) != 0)
			continue;
		rest = trim(rest);
		if (rest.len > 0 && rest.ptr[0] == '=')
			return true;
	}
	return false;
}

static void
put_text(struct writer *w, const char *text)
{
	writer_put(w, text, strlen(text));
}

static void
put_keys(struct edit *e)
{
	put_text(&e->w, "aws_access_key_id = ");
	writer_put(&e->w, e->id.ptr, e->id.len);
	put_text(&e->w, "\naws_secret_access_key = ");
	writer_put(&e->w, e->secret.ptr, e->secret.len);
	put_text(&e->w, "\n");
	e->done = true;
}

static void
edit_line(struct edit *e, hsm_in line)
{
	hsm_in name;

	if (is_header(line, &name)) {
		e->inside = bytes_equal(name, e->profile);
		writer_put(&e->w, line.ptr, line.len);
		if (line.ptr[line.len - 1] != '\n')
			put_text(&e->w, "\n");
		if (e->inside && !e->done)
			put_keys(e);
		return;
	}
	if (!e->inside || !holds_key(line))
		writer_put(&e->w, line.ptr, line.len);
}

static void
edit_file(struct edit *e, hsm_in old)
{
	while (old.len > 0) {
		const uint8_t *newline = memchr(old.ptr, '\n', old.len);
		const size_t len = newline == NULL ? old.len : (size_t)(newline - old.ptr) + 1;

		edit_line(e, (hsm_in){ old.ptr, len });
		old.ptr += len;
		old.len -= len;
	}
	if (e->done)
		return;
	if (e->w.len > 0)
		put_text(&e->w, e->w.ptr[e->w.len - 1] == '\n' ? "\n" : "\n\n");
	put_text(&e->w, "[");
	writer_put(&e->w, e->profile.ptr, e->profile.len);
	put_text(&e->w, "]\n");
	put_keys(e);
}

static bool
profile_fits(hsm_in profile)
{
	if (profile.len == 0 || profile.len > PROFILE_MAX)
		return false;
	for (size_t i = 0; i < profile.len; i++) {
		if (profile.ptr[i] <= ' ' || profile.ptr[i] >= 0x7f || profile.ptr[i] == '[' || profile.ptr[i] == ']')
			return false;
	}
	return true;
}

hsm_status
profile_write(const char *path, const char *profile, hsm_in id, hsm_in secret)
{
	struct edit e = { .profile = { (const uint8_t *)profile, strlen(profile) }, .id = id, .secret = secret };
	struct secret old = SECRET_NONE, fresh = SECRET_NONE;
	bool missing = false;
	hsm_status st;

	if (!profile_fits(e.profile))
		return HSM_E_ARGS;
	if ((st = file_read(path, FILE_MAX, &old, &missing)) != HSM_OK && !missing)
		goto out;
	if ((st = secret_alloc(&fresh, old.len + e.profile.len + id.len + secret.len + 128)) != HSM_OK)
		goto out;
	writer_init(&e.w, fresh.ptr, fresh.len);
	edit_file(&e, secret_in(&old));
	st = file_replace(path, (hsm_in){ fresh.ptr, e.w.len });
out:
	secret_wipe(&old);
	secret_wipe(&fresh);
	return st;
}
