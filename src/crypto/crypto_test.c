#include "crypto/crypto.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "crypto/aead.h"

static void assert_hex(const uint8_t *data, size_t len, const char *hex)
{
	char text[2 * CRYPTO_SIGNATURE_SIZE + 1];
	eos_hex_encode(data, len, text);
	assert_string_equal(text, hex);
}

static void test_hash(void **state)
{
	static const struct {
		enum crypto_hash_kind kind;
		size_t size;
		const char *hex;
	} cases[] = {
		{CRYPTO_SHA256, 32,
		 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{CRYPTO_MD5, 16, "900150983cd24fb0d6963f7d28e17f72"},
		{CRYPTO_SHA1, 20, "a9993e364706816aba3e25717850c26c9cd0d89d"},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		struct crypto_hash *hash;
		uint8_t out[32];
		assert_int_equal(crypto_hash_new(cases[i].kind, &hash), 0);
		/* Twice: a finished hash starts anew. */
		for (int round = 0; round < 2; round++) {
			assert_int_equal(crypto_hash_update(hash, "a", 1), 0);
			assert_int_equal(crypto_hash_update(hash, "bc", 2), 0);
			assert_int_equal(crypto_hash_final(hash, out), 0);
			assert_hex(out, cases[i].size, cases[i].hex);
		}
		assert_null(crypto_hash_free(hash));
	}
	struct crypto_hash *none = NULL;
	assert_int_equal(crypto_hash_new((enum crypto_hash_kind)99, &none), -EINVAL);
	assert_null(crypto_hash_free(none));
}

static void test_sha256_empty(void **state)
{
	uint8_t out[CRYPTO_SHA256_SIZE];
	assert_int_equal(crypto_sha256(NULL, 0, out), 0);
	assert_hex(out, sizeof(out),
		   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 4231, test case 2, and the empty key. */
static void test_hmac(void **state)
{
	static const char data[] = "what do ya want for nothing?";
	uint8_t out[CRYPTO_SHA256_SIZE];
	assert_int_equal(crypto_hmac_sha256("Jefe", 4, data, sizeof(data) - 1, out), 0);
	assert_hex(out, sizeof(out),
		   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	assert_int_equal(crypto_hmac_sha1("Jefe", 4, data, sizeof(data) - 1, out), 0);
	assert_hex(out, CRYPTO_SHA1_SIZE, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
	assert_int_equal(crypto_hmac_sha256(NULL, 0, "", 0, out), 0);
	assert_hex(out, sizeof(out),
		   "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

/* Around the size of a block, over which a key is hashed; the last is RFC 4231's test case 6. */
static void test_hmac_long_keys(void **state)
{
	static const char data[] = "Test Using Larger Than Block-Size Key - Hash Key First";
	static const struct {
		size_t len;
		const char *mac;
	} keys[] = {
		{63, "b9f6d3205603dddcfb871b8132f698f2fc3b0cf9765fed0113231d1e6739d728"},
		{64, "84332a7580ed3cf75de83c644c8d2c1c262ad90e0190e5c5ae4b82b2102e8e75"},
		{65, "c62955a96944ff68deabbc0eab6192065c1c55bb8ddee16151ed5337f911eab9"},
		{131, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
	};
	uint8_t key[131], out[CRYPTO_SHA256_SIZE];
	memset(key, 0xaa, sizeof(key));
	for (size_t i = 0; i < EOS_ARRAY_SIZE(keys); i++) {
		assert_int_equal(crypto_hmac_sha256(key, keys[i].len, data, sizeof(data) - 1, out),
				 0);
		assert_hex(out, sizeof(out), keys[i].mac);
	}
}

/* The key of the call before is remembered: neither message nor key may stay behind. Computed with
 * another implementation. */
static void test_hmac_again(void **state)
{
	static const char first[] =
		"608fd82956249da9e8e10ac0fb624c3fda13b5b4c742fe33e945fe32c5d9022a";
	static const char second[] =
		"a59ca56f9d47a67bb42683af26d01a7aab98d820b2717c7140d97ede00949550";
	static const char other[] =
		"377c8e9b82e6204b21c540ee71aa621898200845a9f43d31e027007992a5ca58";
	static const char shorter[] =
		"305bc880039821ed5767abc0028ac1027b9285ec64f496c4410c9df7bb994747";
	uint8_t key[33], out[CRYPTO_SHA256_SIZE];
	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	for (unsigned turn = 0; turn < 2; turn++) {
		assert_int_equal(crypto_hmac_sha256(key, 32, "first", 5, out), 0);
		assert_hex(out, sizeof(out), first);
		assert_int_equal(crypto_hmac_sha256(key, 32, "second", 6, out), 0);
		assert_hex(out, sizeof(out), second);
		assert_int_equal(crypto_hmac_sha256(key + 1, 32, "second", 6, out), 0);
		assert_hex(out, sizeof(out), other);
		assert_int_equal(crypto_hmac_sha256(key, 31, "second", 6, out), 0);
		assert_hex(out, sizeof(out), shorter);
	}
}

/* RFC 8032, section 7.1, test 2. */
static void test_sign(void **state)
{
	uint8_t seed[CRYPTO_SIGN_SEED_SIZE], public_key[CRYPTO_SIGN_PUBLIC_SIZE];
	uint8_t signature[CRYPTO_SIGNATURE_SIZE];
	static const uint8_t message = 0x72;
	assert_int_equal(
		eos_hex_decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
			       seed, sizeof(seed)),
		0);
	assert_int_equal(crypto_sign_public(seed, public_key), 0);
	assert_hex(public_key, sizeof(public_key),
		   "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
	assert_int_equal(crypto_sign(seed, &message, 1, signature), 0);
	assert_hex(signature, sizeof(signature),
		   "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
		   "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
	assert_int_equal(crypto_verify(public_key, &message, 1, signature), 0);
	assert_int_equal(crypto_verify(public_key, &message, 0, signature), -EBADMSG);
	for (size_t i = 0; i < sizeof(signature); i++) {
		signature[i] ^= 1;
		assert_int_equal(crypto_verify(public_key, &message, 1, signature), -EBADMSG);
		signature[i] ^= 1;
	}
	public_key[0] ^= 1;
	assert_int_equal(crypto_verify(public_key, &message, 1, signature), -EBADMSG);
}

static void test_equal_and_random(void **state)
{
	uint8_t a[64] = {0}, b[64] = {0};
	assert_true(crypto_equal(a, b, sizeof(a)));
	assert_true(crypto_equal(a, b, 0));
	assert_int_equal(crypto_random(a, sizeof(a)), 0);
	assert_false(crypto_equal(a, b, sizeof(a)));
	assert_int_equal(crypto_random(b, sizeof(b)), 0);
	assert_false(crypto_equal(a, b, sizeof(a)));
}

static void test_base64(void **state)
{
	static const char *const pairs[][2] = {
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"},
		{"\xff\xfe\xfb", "//77"},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(pairs); i++) {
		char text[16];
		uint8_t data[16];
		crypto_base64_encode(pairs[i][0], strlen(pairs[i][0]), text);
		assert_string_equal(text, pairs[i][1]);
		long n = crypto_base64_decode(text, strlen(text), data);
		assert_int_equal(n, strlen(pairs[i][0]));
		assert_memory_equal(data, pairs[i][0], (size_t)n);
	}
	static const char *const bad[] = {"Z",	  "Zg",	  "Zg=",  "Zh==",     "Zm9=",	  "Z===",
					  "====", "Zg=a", "Z g=", "Zg==Zg==", "Zm9v\nZm", "Zm-_"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++) {
		uint8_t data[16];
		assert_int_equal(crypto_base64_decode(bad[i], strlen(bad[i]), data), -EINVAL);
	}
}

static struct crypto_cipher *new_cipher(void)
{
	struct crypto_cipher *cipher;
	assert_int_equal(crypto_cipher_new(&cipher), 0);
	return cipher;
}

/* Test case 16 of "The Galois/Counter Mode of Operation" (McGrew and Viega). */
static void test_aead_vector(void **state)
{
	uint8_t key[32], nonce[12], data[60], ad[20], out[60], tag[16];
	struct crypto_cipher *cipher = new_cipher();
	assert_int_equal(
		eos_hex_decode("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
			       key, sizeof(key)),
		0);
	assert_int_equal(eos_hex_decode("cafebabefacedbaddecaf888", nonce, sizeof(nonce)), 0);
	assert_int_equal(
		eos_hex_decode("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
			       "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
			       data, sizeof(data)),
		0);
	assert_int_equal(eos_hex_decode("feedfacedeadbeeffeedfacedeadbeefabaddad2", ad, sizeof(ad)),
			 0);
	const struct crypto_aead aead = {key, nonce, ad, sizeof(ad)};
	assert_int_equal(crypto_aead_seal(cipher, &aead, data, sizeof(data), out, tag), 0);
	assert_hex(out, sizeof(out),
		   "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		   "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662");
	assert_hex(tag, sizeof(tag), "76fc6ece0f4e1768cddf8853bb2d551b");
	/* In place, and with the same contexts. */
	assert_int_equal(crypto_aead_open(cipher, &aead, out, sizeof(out), tag, out), 0);
	assert_memory_equal(out, data, sizeof(data));
	assert_null(crypto_cipher_free(cipher));
}

static void test_aead_refuses(void **state)
{
	uint8_t key[32] = {1}, nonce[12] = {2}, ad[3] = {3}, data[33] = {4};
	uint8_t sealed[33], tag[16], out[33];
	struct crypto_cipher *cipher = new_cipher();
	const struct crypto_aead aead = {key, nonce, ad, sizeof(ad)};
	const struct {
		uint8_t *bytes;
		size_t len;
	} parts[] = {{key, sizeof(key)},
		     {nonce, sizeof(nonce)},
		     {ad, sizeof(ad)},
		     {sealed, sizeof(sealed)},
		     {tag, sizeof(tag)}};
	assert_int_equal(crypto_aead_seal(cipher, &aead, data, sizeof(data), sealed, tag), 0);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(parts); i++) {
		for (size_t bit = 0; bit < 8 * parts[i].len; bit++) {
			parts[i].bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(
				crypto_aead_open(cipher, &aead, sealed, sizeof(sealed), tag, out),
				-EBADMSG);
			parts[i].bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
	assert_int_equal(crypto_aead_open(cipher, &aead, sealed, sizeof(sealed) - 1, tag, out),
			 -EBADMSG);
	assert_int_equal(crypto_aead_open(cipher, &aead, sealed, sizeof(sealed), tag, out), 0);
	assert_memory_equal(out, data, sizeof(data));
	crypto_cipher_free(cipher);
}

/* IEEE 1619, vector 10. */
static void test_xts(void **state)
{
	uint8_t key[64], data[512], out[512];
	struct crypto_cipher *cipher = new_cipher();
	assert_int_equal(
		eos_hex_decode("2718281828459045235360287471352662497757247093699959574966967627"
			       "3141592653589793238462643383279502884197169399375105820974944592",
			       key, sizeof(key)),
		0);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	assert_int_equal(crypto_xts(cipher, true, key, 0xff, data, sizeof(data), out), 0);
	assert_hex(out, 32, "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b");
	assert_int_equal(crypto_xts(cipher, false, key, 0xff, out, sizeof(out), out), 0);
	assert_memory_equal(out, data, sizeof(data));
	crypto_cipher_free(cipher);
}

/* The same as the other way to the same code, with several keys one after the other. */
static void test_mac(void **state)
{
	static const char text[] = "Lwhat do ya want for nothing?";
	struct crypto_cipher *cipher = new_cipher();
	for (uint8_t i = 0; i < 3; i++) {
		uint8_t key[32] = {i}, expected[32], got[32];
		assert_int_equal(crypto_hmac_sha256(key, sizeof(key), text, sizeof(text), expected),
				 0);
		assert_int_equal(crypto_mac(cipher, key, 'L', text + 1, sizeof(text) - 1, got), 0);
		assert_memory_equal(got, expected, sizeof(got));
	}
	crypto_cipher_free(cipher);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_sha256_empty),
		cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_hmac_again),
		cmocka_unit_test(test_hmac_long_keys),
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_aead_vector),
		cmocka_unit_test(test_aead_refuses),
		cmocka_unit_test(test_xts),
		cmocka_unit_test(test_mac),
		cmocka_unit_test(test_equal_and_random),
		cmocka_unit_test(test_base64),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
