/* scan.c - search all readable memory of another process, or a file, for secrets.
 *
 *   scan [-s] PID < needles        each line: [label] hex, at least 8 bytes
 *   scan [-s] -f FILE < needles
 *
 * Each needle is searched for as it would leak: any aligned 16-byte piece of
 * its bytes (a whole key need not lie together), the same of its bytes in
 * reverse (numbers are kept little-endian), hex in both cases, base64 and
 * base64url in each of the three phases it can have inside a longer text.
 *
 * With -s AES keys that nobody named are searched for too: wherever two
 * successive round keys of AES-128 lie together, or three of AES-256, the key
 * follows from them, and each follows from the one before by a rule that no
 * other bytes keep. So a generator's state and keys of keys are found.
 *
 *   hit LABEL KIND MAPPING COUNT
 *   scanned MAPPINGS mappings, BYTES bytes, UNREADABLE unreadable: HITS hits
 *
 * Exit code 0: nothing found; 1: something found; 2: the search failed. A
 * search that finds nothing proves nothing until a needle known to be there
 * was found by the same run: give one as a control. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define NEEDLE_MAX 65536u
#define PATTERN_MAX 32u
#define SEAM 64u                        /* at least what one look takes */
#define CHUNK ((size_t)1 << 20)
#define FILTER_BITS 22u

enum kind { RAW, REVERSED, HEX, BASE64, SCHEDULE, KINDS };
static const char *const kind_names[KINDS] = { "raw", "reversed", "hex", "base64", "schedule" };

struct pattern { uint8_t bytes[PATTERN_MAX]; size_t len; uint32_t needle; enum kind kind; uint32_t next; };

static struct { char label[64]; } *needles;
static size_t needle_count;
static struct pattern *patterns;
static size_t pattern_count;

/* Patterns by the hash of their first 8 bytes: 1-based heads of chains, and a
 * filter that most positions do not pass. */
static uint32_t chains[1u << 16];
static uint8_t filter[(1u << FILTER_BITS) / 8];

/* A counter for each needle, kind and mapping that had a hit. */
struct hit { uint32_t needle; enum kind kind; char mapping[128]; uint64_t count; };
static struct hit *hits;
static size_t hit_count;

static void *
grow(void *old, size_t count, size_t size)
{
	/* Room doubles at each power of two. */
	if ((count & (count - 1)) == 0)
		old = realloc(old, (count == 0 ? 1 : 2 * count) * size);
	if (old == NULL) {
		fputs("scan: out of memory\n", stderr);
		exit(2);
	}
	return old;
}

static uint64_t
hash_of(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, 8);
	word *= UINT64_C(0x9e3779b97f4a7c15);
	return word ^ word >> 32;
}

/* ---- needles to patterns ---------------------------------------------------- */

static size_t
kinds_of_bytes(const uint8_t *bytes, size_t len)
{
	bool seen[256] = { false };
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		n += !seen[bytes[i]];
		seen[bytes[i]] = true;
	}
	return n;
}

/* Pieces that any program has (zeros, padding) say nothing. */
static void
pattern_add(const uint8_t *bytes, size_t len, enum kind kind)
{
	struct pattern *p;
	uint64_t hash;

	if (len < 8 || len > PATTERN_MAX || kinds_of_bytes(bytes, len) < 5)
		return;
	patterns = grow(patterns, pattern_count, sizeof(*patterns));
	p = &patterns[pattern_count++];
	memcpy(p->bytes, bytes, len);
	p->len = len;
	p->kind = kind;
	p->needle = (uint32_t)(needle_count - 1);
	hash = hash_of(bytes);
	p->next = chains[hash & 0xffff];
	chains[hash & 0xffff] = (uint32_t)pattern_count;
	hash &= (1u << FILTER_BITS) - 1;
	filter[hash / 8] |= (uint8_t)(1u << (hash % 8));
}

/* Aligned pieces of `piece`, and the last ones so that no tail is left out. */
static void
pieces_add(const uint8_t *bytes, size_t len, size_t piece, enum kind kind)
{
	size_t i = 0;

	if (len <= piece) {
		pattern_add(bytes, len, kind);
		return;
	}
	for (; i + piece <= len; i += piece)
		pattern_add(bytes + i, piece, kind);
	if (i < len)
		pattern_add(bytes + len - piece, piece, kind);
}

static void
hex_add(const uint8_t *bytes, size_t len, const char *digits)
{
	uint8_t *text = malloc(2 * len + 1);

	if (text == NULL)
		return;
	for (size_t i = 0; i < len; i++) {
		text[2 * i] = (uint8_t)digits[bytes[i] >> 4];
		text[2 * i + 1] = (uint8_t)digits[bytes[i] & 15];
	}
	pieces_add(text, 2 * len, 32, HEX);
	free(text);
}

/* As in a longer text, `phase` bytes of a group of three standing before it:
 * the groups that are wholly ours. */
static void
base64_add(const uint8_t *bytes, size_t len, size_t phase, const char *tail)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t skip = (3 - phase) % 3, n = 0;
	uint8_t *text = malloc(len / 3 * 4 + 4);

	if (text == NULL || len < skip)
		goto out;
	for (size_t i = skip; i + 3 <= len; i += 3) {
		uint32_t group = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];

		for (int shift = 18; shift >= 0; shift -= 6) {
			uint32_t digit = group >> shift & 63;

			text[n++] = (uint8_t)(digit < 62 ? digits[digit] : tail[digit - 62]);
		}
	}
	pieces_add(text, n, 20, BASE64);
out:
	free(text);
}

static uint32_t
needle_name(const char *label)
{
	needles = grow(needles, needle_count, sizeof(*needles));
	snprintf(needles[needle_count].label, sizeof(needles[0].label), "%s", label);
	return (uint32_t)needle_count++;
}

static void
needle_add(const char *label, const uint8_t *bytes, size_t len)
{
	uint8_t *back = malloc(len);

	needle_name(label);
	pieces_add(bytes, len, 16, RAW);
	if (back != NULL) {
		for (size_t i = 0; i < len; i++)
			back[i] = bytes[len - 1 - i];
		pieces_add(back, len, 16, REVERSED);
	}
	free(back);
	hex_add(bytes, len, "0123456789abcdef");
	hex_add(bytes, len, "0123456789ABCDEF");
	for (size_t phase = 0; phase < 3; phase++) {
		base64_add(bytes, len, phase, "+/");
		base64_add(bytes, len, phase, "-_");
	}
}

static int
nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t
hex_read(const char *text, uint8_t *out, size_t max)
{
	size_t n = 0;

	for (; nibble(text[0]) >= 0 && nibble(text[1]) >= 0 && n < max; text += 2)
		out[n++] = (uint8_t)(nibble(text[0]) << 4 | nibble(text[1]));
	return *text == '\0' || isspace((unsigned char)*text) ? n : 0;
}

static bool
needles_read(FILE *in)
{
	static uint8_t bytes[NEEDLE_MAX];
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, in) > 0) {
		char number[32], *space = strchr(line, ' '), *hex = space == NULL ? line : space + 1;
		size_t len = hex_read(hex, bytes, sizeof(bytes));

		if (line[0] == '\n' || line[0] == '#')
			continue;
		if (len < 8) {
			fputs("scan: a needle is not hex, or shorter than 8 bytes\n", stderr);
			return false;
		}
		if (space != NULL)
			*space = '\0';
		snprintf(number, sizeof(number), "%zu", needle_count);
		needle_add(space == NULL ? number : line, bytes, len);
	}
	free(line);
	return needle_count > 0;
}

static void
hit_add(uint32_t needle, enum kind kind, const char *mapping)
{
	for (size_t i = 0; i < hit_count; i++) {
		if (hits[i].needle == needle && hits[i].kind == kind && strcmp(hits[i].mapping, mapping) == 0) {
			hits[i].count++;
			return;
		}
	}
	hits = grow(hits, hit_count, sizeof(*hits));
	hits[hit_count] = (struct hit){ .needle = needle, .kind = kind, .count = 1 };
	snprintf(hits[hit_count].mapping, sizeof(hits[0].mapping), "%s", mapping);
	hit_count++;
}

/* ---- round keys of AES ---------------------------------------------------------- */

static bool schedules;                  /* wanted */
static uint8_t sbox[256];
static uint32_t of_128, of_256;         /* needles that stand for them */

static uint8_t
field_double(uint8_t a)
{
	return (uint8_t)(a << 1 ^ (a >> 7) * 0x1b);
}

/* Inverses by the powers of 3, then the affine map (FIPS 197, 5.1.1). */
static void
sbox_make(void)
{
	uint8_t power[255], inverse[256] = { 0 }, a = 1;

	for (int i = 0; i < 255; i++) {
		power[i] = a;
		a ^= field_double(a);
	}
	for (int i = 0; i < 255; i++)
		inverse[power[i]] = power[(255 - i) % 255];
	for (int i = 0; i < 256; i++) {
		uint8_t b = inverse[i];

		sbox[i] = (uint8_t)(b ^ (b << 1 | b >> 7) ^ (b << 2 | b >> 6) ^ (b << 3 | b >> 5) ^ (b << 4 | b >> 4) ^ 0x63);
	}
}

/* Words are kept as the standard writes them, or each turned round: `turn` is
 * 0 or 3. `words` is the key's length: the word that comes so much later
 * follows from the one here and the one before that. */
static bool
follows(const uint8_t *b, size_t words, size_t turn, bool rotated)
{
	const uint8_t *next = b + 4 * words, *last = next - 4;

	/* The first byte of a rotated word has a round's constant in it: any. */
	for (size_t i = rotated ? 1 : 0; i < 4; i++)
		if ((next[i ^ turn] ^ b[i ^ turn]) != sbox[last[(rotated ? (i + 1) % 4 : i) ^ turn]])
			return false;
	for (size_t i = 4; i < 16; i++)
		if (next[i] != (b[i] ^ next[i - 4]))
			return false;
	return kinds_of_bytes(b, 16) >= 5;
}

static void
schedule_search(const uint8_t *at, size_t len, const char *mapping)
{
	for (size_t turn = 0; turn <= 3; turn += 3) {
		if (len >= 32 && follows(at, 4, turn, true))
			hit_add(of_128, SCHEDULE, mapping);
		if (len >= 48 && (follows(at, 8, turn, true) || follows(at, 8, turn, false)))
			hit_add(of_256, SCHEDULE, mapping);
	}
}

static void
schedules_want(void)
{
	sbox_make();
	of_128 = needle_name("aes-128");
	of_256 = needle_name("aes-256");
	schedules = true;
}

/* ---- the search --------------------------------------------------------------- */

/* Patterns that begin in the first `starts` bytes; `len` can be read. */
static void
search(const uint8_t *bytes, size_t starts, size_t len, const char *mapping)
{
	for (size_t i = 0; i < starts && i + 8 <= len; i++) {
		if (schedules && i % 4 == 0)
			schedule_search(bytes + i, len - i, mapping);
		uint64_t hash = hash_of(bytes + i);
		uint64_t bit = hash & ((1u << FILTER_BITS) - 1);

		if ((filter[bit / 8] >> (bit % 8) & 1) == 0)
			continue;
		for (uint32_t n = chains[hash & 0xffff]; n != 0; n = patterns[n - 1].next) {
			const struct pattern *p = &patterns[n - 1];

			if (p->len <= len - i && memcmp(p->bytes, bytes + i, p->len) == 0)
				hit_add(p->needle, p->kind, mapping);
		}
	}
}

/* Bytes read; the search goes on over the seams between chunks. A page that
 * does not read ends the mapping's search, secret memory at its first. */
static uint64_t
mapping_search(int mem, uint64_t from, uint64_t to, const char *name)
{
	static uint8_t room[CHUNK + SEAM];
	size_t kept = 0;
	uint64_t at = from;

	while (at < to) {
		size_t want = to - at < CHUNK ? (size_t)(to - at) : CHUNK;
		ssize_t got = pread(mem, room + kept, want, (off_t)at);
		size_t len;

		if (got <= 0)
			break;
		at += (uint64_t)got;
		len = kept + (size_t)got;
		if (at >= to) {
			search(room, len, len, name);
			kept = 0;
			break;
		}
		search(room, len > SEAM ? len - SEAM : 0, len, name);
		kept = len > SEAM ? SEAM : len;
		memmove(room, room + len - kept, kept);
	}
	search(room, kept, kept, name);
	return at - from;
}

/* What was found, and whether anything could be read. */
static bool
report(unsigned seen, uint64_t bytes, unsigned unreadable)
{
	uint64_t total = 0;

	for (size_t i = 0; i < hit_count; i++) {
		printf("hit %s %s %s %" PRIu64 "\n", needles[hits[i].needle].label, kind_names[hits[i].kind], hits[i].mapping, hits[i].count);
		total += hits[i].count;
	}
	printf("scanned %u mappings, %" PRIu64 " bytes, %u unreadable: %" PRIu64 " hits\n", seen, bytes, unreadable, total);
	if (bytes == 0)
		fputs("scan: nothing could be read\n", stderr);
	return bytes > 0;
}

static bool
file_search(const char *path)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	off_t end = file < 0 ? -1 : lseek(file, 0, SEEK_END);
	uint64_t bytes;

	if (end < 0) {
		fprintf(stderr, "scan: %s: %s\n", path, strerror(errno));
		return false;
	}
	bytes = mapping_search(file, 0, (uint64_t)end, "file");
	close(file);
	if (bytes < (uint64_t)end) {
		fprintf(stderr, "scan: %s could not be read to its end\n", path);
		return false;
	}
	return report(1, bytes, 0);
}

/* "locked": anonymous and not to be swapped, as secret memory is that can be
 * read. Flags come after the mapping's own line. */
static bool
process_search(pid_t pid)
{
	char path[64], line[1024], mode[5] = "", name[128] = "";
	uint64_t from = 0, to = 0, bytes = 0, got;
	unsigned seen = 0, unreadable = 0;
	FILE *maps;
	int mem;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	maps = fopen(path, "re");
	if (mem < 0 || maps == NULL) {
		fprintf(stderr, "scan: process %d: %s\n", (int)pid, strerror(errno));
		return false;
	}
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (strncmp(line, "VmFlags:", 8) != 0) {
			/* Else a line of figures, whose name may begin like a number. */
			if (sscanf(line, "%*[0-9a-f]-%*x %4[-rwxps]", mode) == 1) {
				name[0] = '\0';
				(void)sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %*s %127[^\n]", &from, &to, name);
			}
			continue;
		}
		if (mode[0] != 'r')
			continue;
		if (name[0] == '\0')
			snprintf(name, sizeof(name), "%s", strstr(line, " lo ") != NULL ? "locked" : "anonymous");
		got = mapping_search(mem, from, to, name);
		seen++;
		unreadable += got == 0;
		bytes += got;
	}
	fclose(maps);
	close(mem);
	return report(seen, bytes, unreadable);
}

int
main(int argc, char **argv)
{
	bool file, ok;
	int i = 1;

	if (i < argc && strcmp(argv[i], "-s") == 0) {
		schedules_want();
		i++;
	}
	file = i < argc && strcmp(argv[i], "-f") == 0;
	i += file;
	if (argc != i + 1 || (!file && atoi(argv[i]) <= 0)) {
		fputs("usage: scan [-s] PID | -f FILE < needles (lines of [label] hex)\n", stderr);
		return 2;
	}
	if (!needles_read(stdin))
		return 2;
	ok = file ? file_search(argv[i]) : process_search(atoi(argv[i]));
	return !ok ? 2 : hit_count == 0 ? 0 : 1;
}
