/*
 * Cyclic redundancy checks that S3 knows: CRC-32 (IEEE 802.3), CRC-32C (RFC 3720) and CRC-64/NVME
 * (NVM Express command set, 5.2.1.3.4). All are reflected, start as ones and are inverted at the
 * end. Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum s3_crc_kind { S3_CRC32, S3_CRC32C, S3_CRC64NVME };

/* CRC is that of what came before, 0 at the start. */
uint64_t s3_crc_update(enum s3_crc_kind kind, uint64_t crc, const void *data, size_t len);
/* Of A and B one after the other, where B has LEN_B bytes. */
uint64_t s3_crc_combine(enum s3_crc_kind kind, uint64_t crc_a, uint64_t crc_b, uint64_t len_b);
