/* entry.c - PINs as people give them: from a file, the environment, standard
 * input, a terminal that does not show them. Bytes go straight into the arena. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "token.h"

#define ROOM (HSM_PIN_MAX + 2u)         /* one more shows that it is too long; one for a CR */

#define KEY_INTERRUPT 3
#define KEY_END 4
#define KEY_ERASE_LINE 21

/* One byte: 1, or 0 at the end, or -1. */
static ssize_t
byte_read(int fd, uint8_t *byte)
{
	ssize_t n;

	while ((n = read(fd, byte, 1)) < 0 && errno == EINTR)
		;
	return n;
}

/* A line without its end, byte by byte: what follows is the next reader's. */
static hsm_status
line_read(int fd, struct secret *room, size_t *len)
{
	ssize_t n;

	for (*len = 0; *len < room->len; (*len)++)
		if ((n = byte_read(fd, &room->ptr[*len])) <= 0 || room->ptr[*len] == '\n') {
			if (n < 0 || (n == 0 && *len == 0))
				return HSM_E_IO;
			if (*len > 0 && room->ptr[*len - 1] == '\r')
				(*len)--;
			return HSM_OK;
		}
	return HSM_E_PIN_LEN;
}

static hsm_status
file_line(const char *path, struct secret *room, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	hsm_status st;

	if (fd < 0)
		return HSM_E_IO;
	st = line_read(fd, room, len);
	close(fd);
	return st;
}

static hsm_status
environment_value(const char *name, struct secret *room, size_t *len)
{
	const char *value = secure_getenv(name);

	if (value == NULL || value[0] == '\0')
		return HSM_E_IO;
	if ((*len = strlen(value)) > HSM_PIN_MAX)
		return HSM_E_PIN_LEN;
	memcpy(room->ptr, value, *len);
	return HSM_OK;
}

/* ---- the terminal -------------------------------------------------------------- */

static void
terminal_say(int fd, const char *text)
{
	(void)!write(fd, text, strlen(text));
}

/* Byte by byte, so that nothing lies in the terminal's line buffer; erasing is
 * done here. */
static hsm_status
keys_read(int fd, struct secret *room, size_t *len)
{
	uint8_t *key;

	for (*len = 0; *len < room->len;) {
		key = &room->ptr[*len];
		if (byte_read(fd, key) <= 0)
			return HSM_E_IO;
		switch (*key) {
		case '\r':
		case '\n':
			return HSM_OK;
		case KEY_INTERRUPT:
			return HSM_E_ARGS;
		case KEY_END:
			return *len == 0 ? HSM_E_ARGS : HSM_OK;
		case KEY_ERASE_LINE:
			*len = 0;
			break;
		case 8:
		case 127:
			/* A character's last byte, and those before it that only continue it. */
			while (*len > 0 && (room->ptr[--*len] & 0xC0) == 0x80)
				;
			break;
		default:
			(*len)++;
			break;
		}
	}
	return HSM_E_PIN_LEN;
}

static hsm_status
ask_once(int fd, const char *prompt, struct secret *room, size_t *len)
{
	hsm_status st;

	terminal_say(fd, prompt);
	st = keys_read(fd, room, len);
	terminal_say(fd, "\n");
	return st;
}

static hsm_status
ask(int fd, const char *prompt, bool twice, struct secret *room, size_t *len)
{
	struct secret again = SECRET_NONE;
	size_t again_len = 0;
	hsm_status st = ask_once(fd, prompt, room, len);

	if (st != HSM_OK || !twice)
		return st;
	if ((st = secret_alloc(&again, ROOM)) == HSM_OK && (st = ask_once(fd, "Once more: ", &again, &again_len)) == HSM_OK
	    && (*len != again_len || !bytes_equal_secret(room->ptr, again.ptr, *len)))
		st = HSM_E_PIN;
	secret_wipe(&again);
	return st;
}

static hsm_status
terminal_ask(const char *prompt, bool twice, struct secret *room, size_t *len)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct termios was, quiet;
	hsm_status st;

	if (fd < 0)
		return HSM_E_UNSUPPORTED;
	if (tcgetattr(fd, &was) != 0) {
		close(fd);
		return HSM_E_UNSUPPORTED;
	}
	quiet = was;
	/* Without signals: an interrupt is a key like others, so that the
	 * terminal never stays quiet. */
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	quiet.c_cc[VMIN] = 1;
	quiet.c_cc[VTIME] = 0;
	if (tcsetattr(fd, TCSAFLUSH, &quiet) == 0) {
		st = ask(fd, prompt, twice, room, len);
		(void)tcsetattr(fd, TCSAFLUSH, &was);
	} else {
		st = HSM_E_IO;
	}
	close(fd);
	return st;
}

/* ---- any ------------------------------------------------------------------------- */

hsm_status
token_pin_read(enum token_pin_from how, const char *from, struct secret *pin)
{
	struct secret room = SECRET_NONE;
	size_t len = 0;
	hsm_status st;

	*pin = SECRET_NONE;
	if ((st = secret_alloc(&room, ROOM)) != HSM_OK)
		return st;
	switch (how) {
	case TOKEN_PIN_FILE:
		st = file_line(from, &room, &len);
		break;
	case TOKEN_PIN_ENVIRONMENT:
		st = environment_value(from, &room, &len);
		break;
	case TOKEN_PIN_STDIN:
		st = line_read(STDIN_FILENO, &room, &len);
		break;
	case TOKEN_PIN_TERMINAL:
	case TOKEN_PIN_TERMINAL_TWICE:
		st = terminal_ask(from, how == TOKEN_PIN_TERMINAL_TWICE, &room, &len);
		break;
	default:
		st = HSM_E_ARGS;
		break;
	}
	if (st == HSM_OK && len > HSM_PIN_MAX)
		st = HSM_E_PIN_LEN;
	if (st == HSM_OK && len == 0)
		st = HSM_E_IO;
	if (st == HSM_OK)
		st = secret_copy(pin, (hsm_in){ room.ptr, len });
	secret_wipe(&room);
	return st;
}
