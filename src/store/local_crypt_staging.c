/*
 * Files in staging/: they lose their names at once, so nobody has to remove them.
 *
 * An encrypted one is written in units of 4 KiB, each sealed by AES-XTS, as disks are: the same
 * unit may be written again and again, which a stream cipher would not survive, since an old copy
 * of a block may stay on the medium. The key is random and in memory only, so what is left on the
 * disk is noise to everybody. It is not authenticated: nobody but this process reads it, within the
 * life of the upload.
 *
 * A unit of zeros on the disk is a hole, and reads as zeros: no plain text seals to that but with a
 * chance of 2^-32768. The bytes behind the end of what was written are zeros inside their unit.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "crypto/crypto.h"
#include "store/local_crypt_priv.h"
#include "store/local_priv.h"

#define UNIT_BYTES 4096u

struct local_staging {
	struct local *local;
	int fd;
	bool is_encrypted;
	uint64_t size; /* encrypted: of the file, in whole units */
	uint8_t key[CRYPTO_XTS_KEY_SIZE];
	uint8_t unit[UNIT_BYTES];
};

static int create_file(struct local_staging *s)
{
	char name[24];
	int err = eos_fault("store.staging_create");
	if (err < 0)
		return err;
	struct local *local = s->local;
	snprintf(name, sizeof(name), "%016llx",
		 (unsigned long long)atomic_fetch_add(&local->staging_next, 1));
	s->fd = openat(local->staging_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (s->fd < 0 || unlinkat(local->staging_fd, name, 0) < 0)
		return -errno;
	return 0;
}

int local_staging_new(struct local *local, bool is_encrypted, struct local_staging **ret_staging)
{
	struct local_staging *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->local = local;
	s->fd = -1;
	s->is_encrypted = is_encrypted;
	int err = create_file(s);
	if (err == 0 && is_encrypted)
		err = crypto_random(s->key, sizeof(s->key));
	if (err < 0)
		local_staging_free(s);
	else
		*ret_staging = s;
	return err;
}

struct local_staging *local_staging_free(struct local_staging *s)
{
	if (s == NULL)
		return NULL;
	s->fd = eos_close(s->fd);
	explicit_bzero(s, sizeof(*s));
	free(s);
	return NULL;
}

static bool is_zeros(const uint8_t *data, size_t len)
{
	return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

/* Brings unit NUMBER into s->unit. */
static int load(struct local_staging *s, struct local_cipher *cipher, uint64_t number)
{
	if ((number + 1) * UNIT_BYTES > s->size) {
		memset(s->unit, 0, UNIT_BYTES);
		return 0;
	}
	int err = eos_fault("store.staging_read");
	if (err == 0)
		err = eos_pread_full(s->fd, s->unit, UNIT_BYTES, (off_t)(number * UNIT_BYTES));
	if (err < 0 || is_zeros(s->unit, UNIT_BYTES))
		return err;
	return crypto_xts(cipher->crypto, false, s->key, number, s->unit, UNIT_BYTES, s->unit);
}

/* Seals s->unit and writes it. */
static int save(struct local_staging *s, struct local_cipher *cipher, uint64_t number)
{
	int err = eos_fault("store.staging_write");
	if (err == 0)
		err = crypto_xts(cipher->crypto, true, s->key, number, s->unit, UNIT_BYTES,
				 s->unit);
	if (err == 0)
		err = eos_pwrite_full(s->fd, s->unit, UNIT_BYTES, (off_t)(number * UNIT_BYTES));
	if (err == 0)
		s->size = EOS_MAX(s->size, (number + 1) * UNIT_BYTES);
	return err;
}

/* A stretch of one unit. DATA NULL: zeros. */
static int write_unit(struct local_staging *s, struct local_cipher *cipher, const uint8_t *data,
		      size_t len, uint64_t offset)
{
	uint64_t number = offset / UNIT_BYTES;
	int err = len < UNIT_BYTES ? load(s, cipher, number) : 0;
	if (err < 0)
		return err;
	if (data != NULL)
		memcpy(s->unit + offset % UNIT_BYTES, data, len);
	else
		memset(s->unit + offset % UNIT_BYTES, 0, len);
	return save(s, cipher, number);
}

static size_t in_unit(uint64_t offset, size_t len)
{
	return EOS_MIN(len, (size_t)(UNIT_BYTES - offset % UNIT_BYTES));
}

int local_staging_write(struct local_staging *s, const void *data, size_t len, uint64_t offset)
{
	struct local_cipher *cipher;
	const uint8_t *in = data;
	if (!s->is_encrypted) {
		int err = eos_fault("store.staging_write");
		return err < 0 ? err : eos_pwrite_full(s->fd, data, len, (off_t)offset);
	}
	int err = local_cipher_take(s->local, &cipher);
	if (err < 0)
		return err;
	while (err == 0 && len > 0) {
		size_t n = in_unit(offset, len);
		err = write_unit(s, cipher, in, n, offset);
		in += n;
		offset += n;
		len -= n;
	}
	local_cipher_give(s->local, cipher);
	return err;
}

int local_staging_read(struct local_staging *s, void *data, size_t len, uint64_t offset)
{
	struct local_cipher *cipher;
	uint8_t *out = data;
	if (!s->is_encrypted) {
		int err = eos_fault("store.staging_read");
		return err < 0 ? err : eos_pread_full(s->fd, data, len, (off_t)offset);
	}
	int err = local_cipher_take(s->local, &cipher);
	if (err < 0)
		return err;
	while (err == 0 && len > 0) {
		size_t n = in_unit(offset, len);
		err = load(s, cipher, offset / UNIT_BYTES);
		if (err == 0)
			memcpy(out, s->unit + offset % UNIT_BYTES, n);
		out += n;
		offset += n;
		len -= n;
	}
	local_cipher_give(s->local, cipher);
	return err;
}

static int resize(struct local_staging *s, uint64_t size)
{
	int err = eos_fault("store.staging_write");
	return err == 0 && ftruncate(s->fd, (off_t)size) < 0 ? -errno : err;
}

int local_staging_truncate(struct local_staging *s, uint64_t size)
{
	struct local_cipher *cipher;
	if (!s->is_encrypted)
		return resize(s, size);
	uint64_t units = (size + UNIT_BYTES - 1) / UNIT_BYTES;
	int err = resize(s, units * UNIT_BYTES);
	if (err < 0)
		return err;
	bool is_cut = size < s->size && size % UNIT_BYTES != 0;
	s->size = units * UNIT_BYTES;
	if (!is_cut)
		return 0;
	/* What is behind the end would be there again if it grew. */
	err = local_cipher_take(s->local, &cipher);
	if (err < 0)
		return err;
	err = write_unit(s, cipher, NULL, UNIT_BYTES - size % UNIT_BYTES, size);
	local_cipher_give(s->local, cipher);
	return err;
}
