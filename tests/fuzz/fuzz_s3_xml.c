/* The XML bodies of S3 requests. */
#include <stdint.h>

#include "s3/s3_xml_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char location[S3_LOCATION_MAX + 1];
	struct s3_delete_list keys;
	struct s3_part_list parts;
	const char *text = (const char *)data;

	s3_xml_read_init();
	(void)!s3_xml_read_location(text, size, location);
	if (s3_xml_read_delete(text, size, &keys) == 0)
		s3_delete_list_fini(&keys);
	if (s3_xml_read_parts(text, size, &parts) == 0)
		s3_part_list_fini(&parts);
	return 0;
}
