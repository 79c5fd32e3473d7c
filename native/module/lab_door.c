#include "lab_door.h"

#include "../base/lab.h"
#include "../crypto/lab_noise.h"

hsm_status
hsm_lab(const char *setting)
{
	return lab_set(setting);
}

hsm_status
hsm_lab_noise(unsigned source, hsm_out *noise)
{
	const size_t len = noise->cap / 8 * 8;

	noise->len = 0;
	if (noise->ptr == NULL || source > 1)
		return HSM_E_ARGS;
	if (!lab_noise(source == 0 ? LAB_SYSTEM : LAB_PROCESSOR, noise->ptr, len))
		return HSM_E_UNSUPPORTED;
	noise->len = len;
	return HSM_OK;
}
