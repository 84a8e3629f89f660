/*
 * Programs get no host functions of module "edgeos", which would all fail in them: they are told
 * when they are loaded. So that is tried first, and costs functions that stay a second attempt.
 */
#include "cell/cell_image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wasi/edgeos.h"
#include "wasi/wasi.h"

bool cell_image_stays(const struct fwp_image *image)
{
	return !fwp_image_has_export(image, "_start", ":") &&
	       fwp_image_has_export(image, "edgeos_message", "iii:");
}

static int load_with_all(const struct image *image, struct fwp_image **ret_image,
			 struct eos_why *why)
{
	size_t wasi_count, edgeos_count;
	const struct fwp_import *wasi = wasi_imports(&wasi_count);
	const struct fwp_import *edgeos = edgeos_imports(&edgeos_count);
	struct fwp_import *all = calloc(wasi_count + edgeos_count, sizeof(*all));
	if (all == NULL)
		return -ENOMEM;
	memcpy(all, wasi, wasi_count * sizeof(*all));
	memcpy(all + wasi_count, edgeos, edgeos_count * sizeof(*all));
	int err = fwp_image_load(image, all, wasi_count + edgeos_count, ret_image, why);
	free(all);
	return err;
}

int cell_image_load(const struct image *image, struct fwp_image **ret_image, struct eos_why *why)
{
	size_t count;
	struct fwp_image *loaded;
	struct eos_why later = {""};
	const struct fwp_import *imports = wasi_imports(&count);
	int err = fwp_image_load(image, imports, count, ret_image, why);
	if (err != -ENOSYS)
		return err;
	int again = load_with_all(image, &loaded, &later);
	if (again < 0)
		/* What is missing from both is of more use than what is missing from one. */
		return again == -ENOSYS ? eos_why(why, again, "%s", later.text) : again;
	if (!cell_image_stays(loaded)) {
		fwp_image_unref(loaded);
		return err; /* with the first one's words */
	}
	*ret_image = loaded;
	return 0;
}
