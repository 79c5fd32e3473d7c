/* MAC over: table, u32 length before it | key, u32 length before it | version
 * u64 | body, u32 length before it. The key follows from the root by the label
 * "record" and stays keyed (root.c). Format: docs/formats/record.md. */
#include "gate.h"
#include "root.h"

#define DEPTH 4096u

struct record { hsm_in table, key, body; uint64_t version; uint8_t *mac; };

static hsm_status
record_mac(void *arg)
{
	const struct record *r = arg;
	uint8_t first[4], second[4], third[8 + 4];
	struct writer w;

	writer_init(&w, first, sizeof first);
	writer_u32(&w, (uint32_t)r->table.len);
	writer_init(&w, second, sizeof second);
	writer_u32(&w, (uint32_t)r->key.len);
	writer_init(&w, third, sizeof third);
	writer_u64(&w, r->version);
	writer_u32(&w, (uint32_t)r->body.len);
	return root_mac((const hsm_in[]){ { first, sizeof first }, r->table, { second, sizeof second }, r->key,
	                                  { third, sizeof third }, r->body }, 6, r->mac);
}

hsm_status
hsm_record_mac(hsm_in table, hsm_in key, uint64_t version, hsm_in body, uint8_t mac[HSM_RECORD_MAC])
{
	struct record r = { table, key, body, version, mac };
	hsm_status st = HSM_E_ARGS;

	if (table.len <= UINT32_MAX && key.len <= UINT32_MAX && body.len <= UINT32_MAX)
		st = gate_call(record_mac, &r, 0, DEPTH);
	if (st != HSM_OK)
		bytes_wipe(mac, HSM_RECORD_MAC);
	return st;
}

hsm_status
hsm_record_check(hsm_in table, hsm_in key, uint64_t version, hsm_in body, hsm_in mac)
{
	uint8_t right[HSM_RECORD_MAC];
	hsm_status st;

	if ((st = hsm_record_mac(table, key, version, body, right)) != HSM_OK)
		return st;
	if (mac.len != sizeof right || !bytes_equal_secret(mac.ptr, right, sizeof right))
		st = HSM_E_INTEGRITY;
	bytes_wipe(right, sizeof right);
	return st;
}
