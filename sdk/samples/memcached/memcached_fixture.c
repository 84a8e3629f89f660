#include "memcached_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct talk talk;

const char *ask(const char *text)
{
	static char answer[1 << 16];
	talk.out_len = 0;
	talk_input(&talk, text, (uint32_t)strlen(text));
	assert_true(talk.out_len < sizeof(answer));
	if (talk.out_len > 0)
		memcpy(answer, talk.out, talk.out_len);
	answer[talk.out_len] = '\0';
	return answer;
}

void begin(uint64_t limit)
{
	talk_fini(&talk);
	talk_init(&talk, 1);
	while (items_stats()->count > 0)
		items_set_limit(0, proto_now);
	items_set_limit(limit, proto_now);
	proto_now = 2;
	proto_epoch = 1700000000;
}

int setup(void **state)
{
	/* Once: the table of items is made by edgeos_init(). */
	host_tail_is_usable = true;
	host_set("memory", "1");
	return host_start() ? 0 : -1;
}

int teardown(void **state)
{
	begin(1 << 20);
	talk_fini(&talk);
	return 0;
}
