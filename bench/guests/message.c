/* For the bench "message": sends a message, waits for one, and so on for good. */
#include "guest.h"
#include "message.h"
#include "mma/mma_abi.h"

IMPORT("attach")
void attach(struct mma_abi_ring *out, struct mma_abi_ring *in, struct message_config *config);
IMPORT("kick") void kick(void);
/* Returns when the inbound ring's tail may be another than RECEIVED. */
IMPORT("wait") void wait(uint32_t received);

struct ring {
	struct mma_abi_ring head;
	struct mma_abi_descriptor slot;
};

static _Alignas(MMA_ABI_RING_ALIGN) struct ring out = {
	.head = {.version = MMA_ABI_VERSION, .count = 1}};
static _Alignas(MMA_ABI_RING_ALIGN) struct ring in = {
	.head = {.version = MMA_ABI_VERSION, .count = 1}};
static _Alignas(PAGE) uint8_t sent[MESSAGE_BYTES_MAX], received[MESSAGE_BYTES_MAX];
static struct message_config config;

static void post(void)
{
	in.slot = (struct mma_abi_descriptor){.address = (uint32_t)(uintptr_t)received,
					      .capacity = MESSAGE_BYTES_MAX};
	in.head.head++;
}

static void send(void)
{
	out.slot = (struct mma_abi_descriptor){
		.address = (uint32_t)(uintptr_t)sent, .len = config.bytes, .conn = config.conn};
	out.head.head++;
	kick();
}

void _start(void)
{
	uint32_t count = 0;

	/* Pages of its own, as messages have that somebody wrote. */
	for (uint32_t i = 0; i < MESSAGE_BYTES_MAX; i++)
		sent[i] = (uint8_t)i;
	attach(&out.head, &in.head, &config);
	post();
	if (config.is_first)
		send();
	else
		kick(); /* a buffer has been posted */
	for (;; count++) {
		while (*(volatile uint32_t *)&in.head.tail == count)
			wait(count);
		if (in.slot.status != MMA_ABI_DONE || in.slot.len != config.bytes)
			__builtin_trap();
		post();
		send();
	}
}
